import dataclasses

import numpy as np
import pydicom
import pydicom.uid
import pytest

from data_pipelines.readers import dicom, dicom_segmentation, nifti
from data_pipelines.readers.errors import ReadError
from data_pipelines.readers.scan import read_label

SHAPE = (3, 4, 5)
MASKS = np.random.default_rng(0).random(SHAPE) > 0.5
"""Of the slices of `write_series`, which lie 2 mm apart from (-10, -20, 30) mm on, LPS."""


@pytest.fixture
def example(tmp_path, write_series):
    write_series(tmp_path / "series", np.zeros(SHAPE, np.int16))
    return dicom.read_series(tmp_path / "series")


def item(**elements):
    dataset = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def place(index, segment=1, position=None):
    """The functional groups of a frame in the plane of a slice."""
    position = [-10, -20, 30 + 2 * index] if position is None else position
    return item(
        PlanePositionSequence=[item(ImagePositionPatient=position)],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=segment)],
    )


def write(path, masks, places, *, directions=(1, 0, 0, 0, 1, 0), spacing=(0.75, 0.5), **elements):
    """Keywords replace elements of the header."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.SegmentationStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    meta.TransferSyntaxUID = elements.pop("syntax", pydicom.uid.ExplicitVRLittleEndian)
    bits = np.packbits(np.ravel(masks), bitorder="little").tobytes()
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=list(directions))],
        PixelMeasuresSequence=[item(PixelSpacing=list(spacing))],
    )
    header = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "PatientName": "Secret^Person",
        "SegmentationType": "BINARY",
        "NumberOfFrames": len(masks),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": np.shape(masks)[1],
        "Columns": np.shape(masks)[2],
        "BitsAllocated": 1,
        "BitsStored": 1,
        "HighBit": 0,
        "PixelRepresentation": 0,
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": places,
        "PixelData": bits + b"\0" * (len(bits) % 2),
    } | elements
    dataset = item(**header)
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_frames_lie_where_their_positions_say_and_other_planes_are_background(tmp_path, example):
    path = write(tmp_path / "seg.dcm", MASKS[[2, 0]], [place(2), place(0)])
    label = read_label(path, example)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, MASKS * np.array([1, 0, 1])[:, None, None])


def test_voxels_have_the_numbers_of_their_segments(tmp_path, example):
    """Each segment has frames of its own."""
    path = write(tmp_path / "seg.dcm", [*MASKS, *~MASKS], [place(k, s) for s in (1, 7) for k in range(3)])
    np.testing.assert_array_equal(dicom_segmentation.read_label(path, example), np.where(MASKS, 1, 7))
    path = write(tmp_path / "overlap.dcm", MASKS[[0, 0]], [place(0, 1), place(0, 7)])
    with pytest.raises(ReadError, match="segment 7 on top of another; wanted one segment per voxel"):
        dicom_segmentation.read_label(path, example)


def test_rows_and_columns_may_run_the_other_way(tmp_path, example):
    far = [-10 + 4 * 0.5, -20 + 3 * 0.75]
    places = [place(k, position=[*far, 30 + 2 * k]) for k in range(3)]
    path = write(tmp_path / "seg.dcm", MASKS[:, ::-1, ::-1], places, directions=(-1, 0, 0, 0, -1, 0))
    np.testing.assert_array_equal(dicom_segmentation.read_label(path, example), MASKS)


def test_the_image_may_be_nifti(tmp_path, write_nifti):
    """Stored from left to right, from back to front and upwards, as converters do."""
    affine = np.diag([0.5, 0.75, 2.0, 1.0])
    affine[:3, 3] = [10 - 4 * 0.5, 20 - 3 * 0.75, 30]
    scan = write_nifti(tmp_path / "scan.nii.gz", np.zeros(SHAPE[::-1], np.float32), affine)
    path = write(tmp_path / "seg.dcm", MASKS, [place(k) for k in range(3)])
    np.testing.assert_array_equal(read_label(path, nifti.read_volume(scan)), MASKS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spacing": (1.5, 1.0)}, "a frame off the image's voxels"),
        ({"spacing": (0.76, 0.5)}, "a frame off the image's voxels"),
        ({"directions": (0.8, 0.6, 0, -0.6, 0.8, 0)}, "a frame off the image's voxels"),
        ({"directions": (1, 0, 0, 1, 0, 0)}, r"the place of a frame that cannot be read \(ValueError\)"),
        ({"places": [place(k + 0.25) for k in range(3)]}, "a frame off the image's voxels"),
        ({"places": [place(k + 1) for k in range(3)]}, "foreground beyond the image"),
        ({"places": [place(1e300)] * 3}, "foreground beyond the image"),
        ({"places": [place(k, 256) for k in range(3)]}, "the place of a frame that cannot be read"),
        ({"places": [place(0), place(1)]}, "2 places for frames"),
        ({"places": [item()] * 3}, r"the place of a frame that cannot be read \(StopIteration\)"),
        ({"SegmentationType": "FRACTIONAL"}, "fractions or labels; wanted a binary segmentation"),
        ({"BitsAllocated": 8}, "fractions or labels; wanted a binary segmentation"),
        ({"PixelData": b"\1\2"}, "pixel data that cannot be read"),
        ({"PixelData": b"\1\2" * 99}, "pixel data that cannot be read"),
        ({"NumberOfFrames": 2**30, "places": [place(0)]}, "1 places for frames"),
        ({"syntax": pydicom.uid.DeflatedExplicitVRLittleEndian}, "a compressed or unknown transfer syntax"),
    ],
)
def test_what_does_not_fit_the_image_or_is_damaged_is_refused(tmp_path, example, change, message):
    change = {"places": [place(k) for k in range(3)], **change}
    path = write(tmp_path / "seg.dcm", MASKS, change.pop("places"), **change)
    with pytest.raises(ReadError, match=message) as caught:
        dicom_segmentation.read_label(path, example)
    assert "Secret" not in str(caught.value)


def test_other_files_are_refused(tmp_path, example):
    with pytest.raises(ReadError, match="another DICOM object; wanted a segmentation"):
        read_label(tmp_path / "series" / "001.dcm", example)
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(ReadError, match=r"a header that cannot be read \(InvalidDicomError\)"):
        read_label(tmp_path / "text.dcm", example)
    path = write(tmp_path / "seg.dcm", MASKS, [place(k) for k in range(3)])
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ReadError, match="a header that cannot be read"):
        read_label(path, example)
    with pytest.raises(ValueError, match="found no affine"):
        dicom_segmentation.read_label(path, dataclasses.replace(example, affine=None))


def test_real_liver(real_data):
    """The files of the slices are numbered downwards, the frames go upwards."""
    folder = real_data / "ct_liver_dcmqi"
    example = dicom.read_series(folder)
    label = read_label(folder / "liver.dcm", example)
    assert [int(np.count_nonzero(part)) for part in label] == [36233, 35645, 35220]
    inside = example.image[label == 1]
    assert 0 < np.median(inside) < 150  # HU
