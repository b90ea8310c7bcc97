"""Makers of small medical files, and of files of characters."""

import gzip
import os
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pydicom.uid
import pytest
from nibabel import spm2analyze


@pytest.fixture(scope="session")
def rewrite():
    """`rewrite(path, content)`: as a new file, since one that is cut and written again waits for the disk."""

    def write(path, content):
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    return write


@pytest.fixture
def characters(tmp_path):
    """MNIST and EMNIST letters: images whose first row holds the label, letters stored transposed."""
    folder = tmp_path / "characters"
    folder.mkdir()
    counts = {"train": 200, "t10k": 40, "emnist-letters-train": 520, "emnist-letters-test": 260}
    for part, count in counts.items():
        letters = part.startswith("emnist")
        labels = np.arange(count) % 26 + 1 if letters else np.arange(count) % 10
        images = np.zeros((count, 28, 28))
        images[:, :, 0] = labels[:, None]
        if not letters:
            images = images.swapaxes(1, 2)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            content = gzip.compress(head + array.astype(np.uint8).tobytes())
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(content)
    return folder


@pytest.fixture
def oasis(tmp_path):
    """Two subjects in the layout of OASIS-1, one healthy and one demented."""
    folder = tmp_path / "oasis"
    for number in (1, 2):
        name = f"OAS1_000{number}_MR1"
        place = folder / "disc1" / name / "PROCESSED" / "MPRAGE" / "T88_111"
        place.mkdir(parents=True)
        volume = np.zeros((176, 208, 176, 1), np.int16)
        volume[10, 20, 88] = 1000 * number
        volume[0, 0, 0] = 4000
        image = spm2analyze.Spm2AnalyzeImage(volume, np.eye(4))
        image.to_filename(str(place / f"{name}_mpr_n4_anon_111_t88_masked_gfc.img"))
    table = "ID,M/F,Age,CDR\nOAS1_0001_MR1,F,20,\nOAS1_0002_MR1,M,80,0.5\n"
    (folder / "oasis_cross-sectional.csv").write_text(table)
    return folder


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
