import numpy as np
import pytest

from data_pipelines.readers import mosmed
from data_pipelines.readers.errors import ReadError

ARRAY = np.full((2, 3, 4), -700, np.int16)
MASK = np.ones((2, 3, 4), np.uint8)


@pytest.fixture
def folder(tmp_path, write_nifti):
    for severity, number in (("CT-1", 255), ("CT-0", 1), ("CT-4", 1110)):
        write_nifti(tmp_path / "studies" / severity / f"study_{number:04d}.nii.gz", ARRAY)
    write_nifti(tmp_path / "masks" / "study_0255_mask.nii.gz", MASK)
    (tmp_path / "studies" / ".DS_Store").write_bytes(b"")
    return tmp_path


def test_studies_with_severity_and_masks(folder):
    cases = mosmed.find_cases(folder)
    assert [(case.subject, case.severity) for case in cases] == [
        ("study_0001", "CT-0"),
        ("study_0255", "CT-1"),
        ("study_1110", "CT-4"),
    ]
    assert [case.label_path is not None for case in cases] == [False, True, False]
    assert cases[1].read().label.all()
    assert cases[0].read().label is None
    assert mosmed.find_cases(folder, masked_only=True) == cases[1:2]


def test_labels_are_binary(folder, write_nifti):
    write_nifti(folder / "masks" / "study_0255_mask.nii.gz", 2 * MASK)
    with pytest.raises(ReadError, match="labels from 2 to 2"):
        mosmed.find_cases(folder)[1].read()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("studies/CT-5/study_0002.nii.gz", "unknown entry of studies/"),
        ("studies/study_0002.nii.gz", "unknown entry of studies/"),
        ("studies/CT-3/scan_0002.nii.gz", "wanted study_xxxx.nii.gz"),
        ("studies/CT-3/study_0001.nii.gz", "the study of .* again"),
        ("masks/study_0255.nii.gz", "wanted study_xxxx_mask.nii.gz"),
        ("masks/study_0002_mask.nii.gz", "no study for this mask"),
    ],
)
def test_stray_files_are_named(folder, write_nifti, path, message):
    write_nifti(folder / path, MASK)
    with pytest.raises(ReadError, match=message):
        mosmed.find_cases(folder)


def test_empty_folders_are_refused(tmp_path):
    with pytest.raises(ReadError, match="no studies/"):
        mosmed.find_cases(tmp_path)
    (tmp_path / "studies" / "CT-0").mkdir(parents=True)
    with pytest.raises(ReadError, match="no study;"):
        mosmed.find_cases(tmp_path)
