"""One DICOM slice: the header fields that place it in space, and its pixels in real values.

Only the elements listed here are ever parsed, so that no patient data can reach an array, a message or a
log; malformed values are not repeated in messages for the same reason.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import pydicom.uid
from pydicom.filereader import read_file_meta_info

from data_pipelines.readers.errors import ReadError

SLICE_CLASSES = {
    pydicom.uid.CTImageStorage,
    pydicom.uid.MRImageStorage,
    pydicom.uid.PositronEmissionTomographyImageStorage,
}
"""SOP classes that hold one slice of a volume."""

MULTIFRAME_CLASSES = {
    pydicom.uid.EnhancedCTImageStorage,
    pydicom.uid.LegacyConvertedEnhancedCTImageStorage,
    pydicom.uid.EnhancedMRImageStorage,
    pydicom.uid.LegacyConvertedEnhancedMRImageStorage,
    pydicom.uid.EnhancedPETImageStorage,
    pydicom.uid.LegacyConvertedEnhancedPETImageStorage,
}
"""SOP classes that hold a volume in one file; they are refused rather than passed over."""

_HEADER_TAGS = [
    "Modality",
    "Manufacturer",
    "SliceThickness",
    "ConvolutionKernel",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "Rows",
    "Columns",
    "PixelSpacing",
]
STORED_PIXEL_TAGS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)
"""What decoding the pixels of any object needs."""

_PIXEL_TAGS = ["Modality", "RescaleIntercept", "RescaleSlope", "ModalityLUTSequence", *STORED_PIXEL_TAGS]


@dataclass(frozen=True)
class SliceHeader:
    """What a slice's header says about its place; unique identifiers stay out of the repr.

    Attributes:
        path: the file.
        series_uid: SeriesInstanceUID (0020,000E).
        study_uid: StudyInstanceUID (0020,000D).
        frame_of_reference_uid: FrameOfReferenceUID (0020,0052), empty where absent.
        modality: CT, MR or PT.
        manufacturer: Manufacturer (0008,0070).
        kernel: ConvolutionKernel (0018,1210), parts joined by a backslash, empty where absent.
        shape: rows and columns.
        spacing_mm: distance of rows and of columns.
        thickness_mm: SliceThickness (0018,0050), NaN where absent.
        orientation: directions of growing column index and of growing row index, LPS.
        position_mm: centre of the first voxel, LPS.
    """

    path: Path
    series_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    frame_of_reference_uid: str = field(repr=False)
    modality: str
    manufacturer: str
    kernel: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    thickness_mm: float
    orientation: tuple[float, ...]
    position_mm: tuple[float, ...]

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the slice: column direction × row direction, LPS."""
        return np.cross(self.orientation[:3], self.orientation[3:])


def read_header(path: Path) -> SliceHeader | None:
    """Reads where a slice lies.

    Args:
        path: any file.

    Returns:
        The header, or None for a file that neither is nor is called a DICOM file, and for a DICOM object
        other than a CT, MR or PT image (a segmentation, a report, a screenshot).

    Raises:
        ReadError: a multi-frame image, or a header that is cut off or lacks what places the slice.
    """
    if not _is_slice(path):
        return None
    dataset = _parse(path, _HEADER_TAGS)
    rows, columns = _size(dataset, path)
    spacing = _numbers(dataset, "PixelSpacing", 2, path)
    if min(spacing) <= 0:
        raise ReadError(path, "PixelSpacing that is not positive", "two positive distances in mm")
    thickness = _text(dataset, "SliceThickness")
    return SliceHeader(
        path=path,
        series_uid=_required(dataset, "SeriesInstanceUID", path),
        study_uid=_required(dataset, "StudyInstanceUID", path),
        frame_of_reference_uid=_text(dataset, "FrameOfReferenceUID"),
        modality=_required(dataset, "Modality", path),
        manufacturer=_text(dataset, "Manufacturer"),
        kernel=_text(dataset, "ConvolutionKernel"),
        shape=(rows, columns),
        spacing_mm=(spacing[0], spacing[1]),
        thickness_mm=_numbers(dataset, "SliceThickness", 1, path)[0] if thickness else math.nan,
        orientation=_orientation(dataset, path),
        position_mm=_numbers(dataset, "ImagePositionPatient", 3, path),
    )


def read_pixels(path: Path) -> np.ndarray:
    """Reads the pixels of a slice and applies its own rescale slope and intercept.

    CT slices must have both (the result is in HU); MR and PT slices without them keep their stored values.
    Padding pixels are rescaled like all others.

    Args:
        path: a file for which `read_header` gives a header.

    Returns:
        (rows, columns) float32 array.

    Raises:
        ReadError: truncated or surplus pixel data, colour, several frames, or no usable rescaling.
    """
    dataset = _parse(path, _PIXEL_TAGS)
    _check_pixel_format(dataset, path)
    slope, intercept = _rescaling(dataset, path)
    # Before pydicom decodes: it replaces the raw elements.
    size = _size(dataset, path)
    try:
        stored = dataset.pixel_array
    except Exception as error:
        # pydicom's own message may quote the header, and every decoder raises its own kind of error.
        raise ReadError(
            path, f"pixel data that cannot be decoded ({type(error).__name__})", "intact pixel data"
        ) from None
    if stored.shape != size:
        raise ReadError(path, f"pixels of shape {stored.shape}", f"{size} as the header says")
    with np.errstate(over="ignore", invalid="ignore"):
        values = (stored * slope + intercept).astype(np.float32)
    if not np.isfinite(values).all():
        raise ReadError(path, "rescaled pixels beyond float32", "finite values")
    return values


def are_directions(axes: np.ndarray) -> bool:
    """Whether the rows of (2, 3) are orthogonal unit vectors, up to rounding in a header."""
    return bool(np.abs(axes @ axes.T - np.eye(2)).max() <= 1e-3)


def _is_slice(path: Path) -> bool:
    with path.open("rb") as stream:
        marked = stream.read(132)[128:] == b"DICM"
    if not marked and path.suffix.lower() in (".dcm", ".dicom", ".ima"):
        raise ReadError(path, "no DICM mark at byte 128", "a complete DICOM file, as the name promises")
    if not marked:
        return False
    try:
        meta = read_file_meta_info(path)
        sop_class, syntax = _text(meta, "MediaStorageSOPClassUID"), _text(meta, "TransferSyntaxUID")
    # pydicom answers damage here with errors of many kinds.
    except Exception:
        sop_class = syntax = ""
    if not (sop_class and syntax):
        raise ReadError(path, "damaged DICOM file meta information", "a complete DICOM file")
    # pydicom would inflate a deflated file at once, whatever size it reaches.
    deflated = syntax == pydicom.uid.DeflatedExplicitVRLittleEndian
    parsable = syntax in pydicom.uid.AllTransferSyntaxes and not deflated
    # With one of the two damaged, a slice would pass for another object and be passed over.
    if parsable and _text(_parse(path, ["SOPClassUID"]), "SOPClassUID") != sop_class:
        raise ReadError(path, "two different SOP classes (or none)", "the same in file meta and data set")
    if sop_class in MULTIFRAME_CLASSES:
        raise ReadError(path, "an enhanced (multi-frame) image", "one slice per file")
    if sop_class not in SLICE_CLASSES:
        return False
    if not parsable:
        raise ReadError(path, "a deflated or unknown transfer syntax", "a standard one")
    return True


def _parse(path: Path, tags: list[str]) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(path, stop_before_pixels="PixelData" not in tags, specific_tags=list(tags))
    except Exception as error:
        raise ReadError(
            path, f"a header that cannot be parsed ({type(error).__name__})", "a DICOM file"
        ) from None


def _raw(dataset: pydicom.Dataset, keyword: str) -> bytes:
    """The bytes of an element, empty where it is absent: pydicom's conversion would warn with the value."""
    try:
        element = dataset.get_item(keyword)
    # Elements without a value are converted even here.
    except Exception:
        return b""
    value = b"" if element is None or element.value is None else element.value
    return value if isinstance(value, bytes) else str(value).encode("ascii", "replace")


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    return _raw(dataset, keyword).decode("ascii", "replace").strip(" \0")


def _required(dataset: pydicom.Dataset, keyword: str, path: Path) -> str:
    if not (text := _text(dataset, keyword)):
        raise ReadError(path, f"no {keyword}", "one in every slice (is the header cut off?)")
    return text


def _numbers(dataset: pydicom.Dataset, keyword: str, count: int, path: Path) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in _required(dataset, keyword, path).split("\\"))
    except ReadError:
        raise
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise ReadError(path, f"a malformed {keyword}", f"{count} finite number(s)")
    return numbers


def _unsigned(dataset: pydicom.Dataset, keyword: str) -> int:
    value = _raw(dataset, keyword)
    return (
        int.from_bytes(value, "little" if dataset.original_encoding[1] else "big") if len(value) == 2 else 0
    )


def _size(dataset: pydicom.Dataset, path: Path) -> tuple[int, int]:
    rows, columns = _unsigned(dataset, "Rows"), _unsigned(dataset, "Columns")
    if not (rows and columns):
        raise ReadError(path, "no or zero Rows or Columns", "positive numbers (is the header cut off?)")
    return rows, columns


def _orientation(dataset: pydicom.Dataset, path: Path) -> tuple[float, ...]:
    numbers = _numbers(dataset, "ImageOrientationPatient", 6, path)
    if not are_directions(np.reshape(numbers, (2, 3))):
        raise ReadError(path, "ImageOrientationPatient that is no pair of orthogonal unit vectors", "one")
    return numbers


def _check_pixel_format(dataset: pydicom.Dataset, path: Path) -> None:
    frames = _text(dataset, "NumberOfFrames") or "1"
    if frames != "1":
        raise ReadError(path, "several frames", "one slice per file")
    if (
        _unsigned(dataset, "SamplesPerPixel") != 1
        or _text(dataset, "PhotometricInterpretation") != "MONOCHROME2"
    ):
        raise ReadError(path, "colour or inverted grey", "one sample per pixel in MONOCHROME2")
    pixels = _raw(dataset, "PixelData")
    if not pixels:
        raise ReadError(path, "no pixel data", "a slice with pixels")
    bits = _unsigned(dataset, "BitsAllocated")
    if bits not in (8, 16, 32):
        raise ReadError(path, "a malformed BitsAllocated", "8, 16 or 32")
    if not dataset.file_meta.TransferSyntaxUID.is_compressed:
        rows, columns = _size(dataset, path)
        size, wanted = len(pixels), rows * columns * bits // 8
        # Elements of odd length are padded by one byte.
        if size not in (wanted, wanted + wanted % 2):
            state = "truncated" if size < wanted else "too long"
            raise ReadError(path, f"{size} bytes of pixels ({state})", f"{wanted} bytes")


def _rescaling(dataset: pydicom.Dataset, path: Path) -> tuple[float, float]:
    if "ModalityLUTSequence" in dataset:
        raise ReadError(path, "a modality look-up table", "RescaleSlope and RescaleIntercept")
    absent = not (_text(dataset, "RescaleSlope") or _text(dataset, "RescaleIntercept"))
    if absent and _text(dataset, "Modality") != "CT":
        return 1.0, 0.0
    slope = _numbers(dataset, "RescaleSlope", 1, path)[0]
    if slope == 0:
        raise ReadError(path, "RescaleSlope 0", "another number")
    return slope, _numbers(dataset, "RescaleIntercept", 1, path)[0]
