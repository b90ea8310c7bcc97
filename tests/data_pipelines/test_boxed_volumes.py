"""Prepared cases: boxes of masks, phantoms, and folders as of the Medical Segmentation Decathlon."""

import numpy as np
import pytest

from data_pipelines import boxed_volumes
from data_pipelines.readers.errors import ReadError


def test_boxes_of_a_case():
    image, label = np.full((4, 6, 8), 50, np.int16), np.zeros((4, 6, 8), np.uint8)
    label[1, 2:4, 3:5] = 1
    label[2, 0:3, 6:8] = 2
    arrays = boxed_volumes.prepare(image, label)
    assert arrays["boxes"].tolist() == [[0] * 4, [2, 3, 4, 5], [0, 6, 3, 8], [0] * 4]
    assert arrays["box"].tolist() == [1, 0, 3, 3, 4, 8]
    assert arrays["loose_boxes"].tolist() == [[0] * 4, [0, 3, 4, 8], [0, 3, 4, 8], [0] * 4]
    np.testing.assert_array_equal(arrays["label"], label > 0)
    assert arrays["intensity"][50 + 1024] == arrays["intensity"].sum() == 10


def test_a_case_without_an_object_is_refused():
    with pytest.raises(ValueError, match="label without foreground"):
        boxed_volumes.prepare(np.zeros((1, 2, 2), np.int16), np.zeros((1, 2, 2), np.uint8))


def test_phantoms_differ_and_are_scanned_with_one_field_of_view():
    volumes = boxed_volumes.phantoms(2, image_size=32, num_slices=3, slice_mm=30.0, num_angles=16)
    assert volumes.cases == ("case-000", "case-001")
    first, second = (volumes.build(name) for name in volumes.cases)
    assert first["image"].shape == (3, 32, 32)
    assert not np.array_equal(first["image"], second["image"])


def test_files_of_the_decathlon(tmp_path, write_nifti):
    image = np.arange(2 * 16 * 16, dtype=np.int16).reshape(2, 16, 16)
    label = np.zeros((2, 16, 16), np.uint8)
    label[1, 4:12, 6:10] = 1
    label[1, 6, 6] = 2
    for name in ("liver_0", "liver_1"):
        write_nifti(tmp_path / "imagesTr" / f"{name}.nii.gz", image.T)
        write_nifti(tmp_path / "labelsTr" / f"{name}.nii.gz", label.T)
    (tmp_path / "dataset.json").write_text("{}")
    volumes = boxed_volumes.files(tmp_path, 8)
    assert volumes.cases == ("liver_0", "liver_1")
    arrays = volumes.build("liver_0")
    assert arrays["image"].shape == (2, 8, 8)
    assert arrays["box"].tolist() == [1, 2, 3, 2, 6, 5]


def test_folders_without_labels_are_refused(tmp_path, write_nifti):
    write_nifti(tmp_path / "images" / "a.nii", np.zeros((2, 3, 4), np.int16))
    with pytest.raises(ReadError, match="no volume with a label"):
        boxed_volumes.find_cases(tmp_path)
