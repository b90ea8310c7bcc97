"""Makers of small medical files."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pydicom.uid
import pytest


@pytest.fixture
def write_nifti():
    """Writes an array with an affine (default: RAS voxels of 1 mm) to a path and gives the path."""

    def write(path, array, affine=None):
        image = nib.Nifti1Image(array, np.eye(4) if affine is None else affine)
        image.header.set_xyzt_units("mm")
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, path)
        return path

    return write


@pytest.fixture
def write_slice():
    """Writes one CT slice of int16 pixels; keywords replace header elements, None removes them."""

    def write(path, pixels, position, **elements):
        meta = pydicom.dataset.FileMetaDataset()
        sop_class = elements.pop("sop_class", pydicom.uid.CTImageStorage)
        meta.MediaStorageSOPClassUID = sop_class
        meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[path.name])
        meta.TransferSyntaxUID = elements.pop("syntax", pydicom.uid.ExplicitVRLittleEndian)
        dataset = pydicom.Dataset()
        dataset.file_meta = meta
        header = {
            "SOPClassUID": sop_class,
            "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "PatientName": "Secret^Person",
            "PatientID": "SECRET-ID",
            "PatientBirthDate": "19010203",
            "InstitutionName": "Secret Hospital",
            "Modality": "CT",
            "Manufacturer": "SIEMENS",
            "ConvolutionKernel": "B30f",
            "StudyInstanceUID": "1.2.3",
            "SeriesInstanceUID": "1.2.3.4",
            "FrameOfReferenceUID": "1.2.3.5",
            "ImagePositionPatient": [float(value) for value in position],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [0.75, 0.5],
            "SliceThickness": 2,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": pixels.shape[0],
            "Columns": pixels.shape[1],
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
            "PixelData": pixels.astype("<i2").tobytes(),
        } | elements
        for keyword, value in header.items():
            if value is not None:
                setattr(dataset, keyword, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def write_series(write_slice):
    """Writes a (slices, rows, columns) array as axial slices 2 mm apart; files are numbered downwards."""

    def write(folder, volume, **elements):
        return [
            write_slice(
                folder / f"{len(volume) - index:03d}.dcm", pixels, (-10, -20, 30 + 2 * index), **elements
            )
            for index, pixels in enumerate(volume)
        ]

    return write


@pytest.fixture
def real_data():
    """Folder of small real data; tests that need it skip where JAXMED_TEST_DATA is unset."""

    folder = os.environ.get("JAXMED_TEST_DATA")
    if not folder:
        pytest.skip("JAXMED_TEST_DATA is unset")
    return Path(folder)
