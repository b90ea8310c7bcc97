"""A scan in whichever medical format a user has it."""

from pathlib import Path

from data_pipelines.example import Example
from data_pipelines.readers import dicom, nifti


def read_scan(path: Path) -> Example:
    """Reads a NIfTI file, or a folder with one DICOM series.

    Raises:
        ReadError: see `nifti.read_volume` and `dicom.read_series`.
    """
    return dicom.read_series(path) if path.is_dir() else nifti.read_volume(path)
