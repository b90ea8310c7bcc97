import nibabel as nib
import numpy as np
import pytest

from data_pipelines.readers.errors import ReadError
from data_pipelines.readers.scan import read_scan


def test_files_are_read_as_nifti_and_folders_as_dicom(tmp_path):
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = nib.Nifti1Image(values, np.eye(4))
    image.set_qform(np.eye(4), code="scanner")
    nib.save(image, tmp_path / "scan.nii.gz")
    assert read_scan(tmp_path / "scan.nii.gz").image.shape == (4, 3, 2)
    (tmp_path / "series").mkdir()
    with pytest.raises(ReadError, match="series"):
        read_scan(tmp_path / "series")
