"""A scan and its labels in whichever medical format a user has them."""

from pathlib import Path

import numpy as np

from data_pipelines.example import Example
from data_pipelines.readers import dicom, dicom_segmentation, nifti


def read_scan(path: Path) -> Example:
    """Reads a NIfTI file, or a folder with one DICOM series.

    Raises:
        ReadError: see `nifti.read_volume` and `dicom.read_series`.
    """
    return dicom.read_series(path) if path.is_dir() else nifti.read_volume(path)


def read_label(path: Path, example: Example) -> np.ndarray:
    """Reads the label map of a scan: NIfTI, or else a DICOM segmentation.

    Returns:
        uint8 array of the shape of `example.image`.

    Raises:
        ReadError: see `nifti.read_label` and `dicom_segmentation.read_label`.
    """
    reader = nifti if path.name.endswith((".nii", ".nii.gz")) else dicom_segmentation
    return reader.read_label(path, example)
