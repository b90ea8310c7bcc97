import dataclasses

import numpy as np
import pytest

from data_pipelines.readers import volume_folder
from data_pipelines.readers.errors import ReadError

ARRAY = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
MASK = (ARRAY > 11).astype(np.uint8)


@pytest.mark.parametrize(("images", "masks"), [("images", "masks"), ("imagesTr", "labelsTr")])
def test_masks_go_with_their_volumes(tmp_path, write_nifti, images, masks):
    write_nifti(tmp_path / images / "b.nii.gz", ARRAY)
    write_nifti(tmp_path / images / "a.nii", ARRAY)
    write_nifti(tmp_path / masks / "b.nii.gz", MASK)
    (tmp_path / images / "._b.nii.gz").write_bytes(b"of another system")
    (tmp_path / images / "notes.txt").write_text("nothing")
    without, with_mask = volume_folder.find_cases(tmp_path, num_classes=2)
    assert (without.subject, without.label_path) == ("a", None)
    assert (with_mask.subject, with_mask.label_path.name) == ("b", "b.nii.gz")
    example = with_mask.read()
    np.testing.assert_array_equal(example.label, example.image > 11)
    assert without.read().label is None


def test_channel_suffix_of_images_tr(tmp_path, write_nifti):
    write_nifti(tmp_path / "imagesTr" / "a_0000.nii.gz", ARRAY)
    write_nifti(tmp_path / "labelsTr" / "a.nii.gz", MASK)
    (case,) = volume_folder.find_cases(tmp_path)
    assert (case.subject, case.read().subject, case.read().label.sum()) == ("a", "a", 12)
    write_nifti(tmp_path / "imagesTr" / "a_0001.nii.gz", ARRAY)
    with pytest.raises(ReadError, match="a second channel"):
        volume_folder.find_cases(tmp_path)


def test_options_of_a_case_reach_the_reader(tmp_path, write_nifti):
    array = ARRAY.astype(np.float32)
    array[0, 0, 0] = np.nan
    write_nifti(tmp_path / "images" / "a.nii", array)
    write_nifti(tmp_path / "masks" / "a.nii", 3 * MASK)
    (case,) = volume_folder.find_cases(tmp_path, num_classes=3)
    with pytest.raises(ReadError, match="1 of 24 voxels NaN"):
        case.read()
    case = dataclasses.replace(case, replace_nonfinite=True)
    with pytest.raises(ReadError, match="labels from 0 to 3; wanted labels from 0 to 2"):
        case.read()
    assert dataclasses.replace(case, num_classes=4).read().image.min() == 1


def test_bad_folders_are_refused(tmp_path, write_nifti):
    with pytest.raises(ReadError, match="no images/ and no imagesTr/"):
        volume_folder.find_cases(tmp_path)
    write_nifti(tmp_path / "images" / "a.nii", ARRAY)
    write_nifti(tmp_path / "masks" / "b.nii", MASK)
    with pytest.raises(ReadError, match=r"b\.nii: found no volume for this mask"):
        volume_folder.find_cases(tmp_path)
    write_nifti(tmp_path / "images" / "a.nii.gz", ARRAY)
    with pytest.raises(ReadError, match=r"the case of a\.nii again"):
        volume_folder.find_cases(tmp_path)
    (tmp_path / "imagesTr").mkdir()
    with pytest.raises(ReadError, match="both images/ and imagesTr/"):
        volume_folder.find_cases(tmp_path)
