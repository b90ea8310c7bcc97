"""DICOM segmentations (bit planes of segments, one object for a series) as label maps.

As in `dicom_slices`, only the elements listed here are ever parsed, and malformed values are not repeated in
messages.
"""

import contextlib
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
import pydicom.uid
from pydicom.filereader import read_file_meta_info

from data_pipelines.example import Example
from data_pipelines.readers.dicom_slices import STORED_PIXEL_TAGS, are_directions
from data_pipelines.readers.errors import ReadError
from data_pipelines.readers.nifti_header import MAX_VOXELS

GRID_TOLERANCE = 0.02
"""Largest distance of a pixel's centre from that of a voxel, in voxels."""

_TAGS = [
    "SOPClassUID",
    "SegmentationType",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *STORED_PIXEL_TAGS,
]


class Frame(NamedTuple):
    """One segment in one plane.

    Attributes:
        segment: its number, from 1.
        mask: (rows, columns) bool.
        affine: (4, 3), from (column, row, 1) to RAS world coordinates in mm.
    """

    segment: int
    mask: np.ndarray
    affine: np.ndarray


def read_label(path: str | Path, example: Example) -> np.ndarray:
    """Reads a binary DICOM segmentation as the label map of an example.

    Frames are put where their positions say; planes without a frame are background.

    Args:
        path: the file.
        example: the volume that was segmented, as its reader gave it.

    Returns:
        uint8 array of the shape of `example.image`: the number of the segment, 0 outside of all.

    Raises:
        ReadError: no binary segmentation, a damaged one, another grid than the example's, or segments that
            overlap.
    """
    path = Path(path)
    if example.affine is None:
        raise ValueError(f"example {example.subject}: found no affine; wanted one to place {path}")
    to_voxels, label = np.linalg.inv(example.affine), np.zeros(example.image.shape, np.uint8)
    for frame in _read_frames(path):
        voxels = _voxels(frame, to_voxels, label.shape, path)
        if (label[voxels] != 0).any():
            raise ReadError(path, f"segment {frame.segment} on top of another", "one segment per voxel")
        label[voxels] = frame.segment
    return label


def _voxels(frame: Frame, to_voxels: np.ndarray, shape: Sequence[int], path: Path) -> tuple[np.ndarray, ...]:
    """Indices of a frame's foreground along each axis."""
    steps = (to_voxels @ frame.affine)[:3]
    whole = np.rint(steps)
    rows, columns = np.array(frame.mask.shape) - 1
    corners = np.array([(column, row, 1) for column in (0, columns) for row in (0, rows)]).T
    # Pixels of twice the size would lie on voxels as well.
    is_grid = np.array_equal(np.abs(whole[:, :2]).sum(axis=0), [1, 1])
    if not is_grid or np.abs((steps - whole) @ corners).max() > GRID_TOLERANCE:
        raise ReadError(path, "a frame off the image's voxels", "frames on the grid of the image")
    row, column = np.nonzero(frame.mask)
    voxels = whole @ np.array([column, row, np.ones_like(row)])
    if ((voxels < 0) | (voxels >= np.array(shape)[:, None])).any():
        raise ReadError(path, "foreground beyond the image", "a segmentation of this image")
    return tuple(voxels.astype(np.intp))


def _read_frames(path: Path) -> Iterator[Frame]:
    dataset = _parse(path)
    with _strictly(path, "a header"):
        shape = (int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns))
        kind = (str(dataset.SegmentationType), int(dataset.BitsAllocated), int(dataset.SamplesPerPixel))
        own, shared = dataset.PerFrameFunctionalGroupsSequence, dataset.SharedFunctionalGroupsSequence
    if kind != ("BINARY", 1, 1):
        raise ReadError(path, "fractions or labels", "a binary segmentation")
    if len(own) != shape[0] or not 0 < math.prod(shape) <= MAX_VOXELS:
        found = f"{len(own)} places for frames, rows and columns of {shape}"
        raise ReadError(path, found, f"a place for each frame and at most {MAX_VOXELS} pixels")
    with _strictly(path, "pixel data"):
        masks = dataset.pixel_array.reshape(shape) != 0
    for mask, groups in zip(masks, own, strict=True):
        with _strictly(path, "the place of a frame"):
            frame = _make_frame(mask, [groups, *shared])
        yield frame


def _make_frame(mask: np.ndarray, groups: Sequence[pydicom.Dataset]) -> Frame:
    def find(macro: str, keyword: str) -> Any:
        return next(group[macro][0] for group in groups if macro in group)[keyword].value

    directions = np.array(find("PlaneOrientationSequence", "ImageOrientationPatient"), float).reshape(2, 3)
    if not are_directions(directions):
        raise ValueError("wanted orthogonal unit vectors")
    between_rows, between_columns = map(float, find("PixelMeasuresSequence", "PixelSpacing"))
    position = np.array(find("PlanePositionSequence", "ImagePositionPatient"), float).reshape(3)
    affine = np.zeros((4, 3))
    affine[:3] = np.column_stack([directions[0] * between_columns, directions[1] * between_rows, position])
    affine[:2] *= -1  # LPS to RAS
    affine[3, 2] = 1
    segment = int(find("SegmentIdentificationSequence", "ReferencedSegmentNumber"))
    if not (1 <= segment <= 255 and np.isfinite(affine).all()):
        raise ValueError("wanted a segment from 1 to 255 at finite coordinates")
    return Frame(segment, mask, affine)


def _parse(path: Path) -> pydicom.Dataset:
    with _strictly(path, "a header"):
        meta = read_file_meta_info(path)
        sop_class, syntax = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    if sop_class != pydicom.uid.SegmentationStorage:
        raise ReadError(path, "another DICOM object", "a segmentation")
    # pydicom would inflate a deflated file at once, whatever size it reaches.
    if syntax not in (pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRLittleEndian):
        raise ReadError(path, "a compressed or unknown transfer syntax", "pixels as they are")
    with _strictly(path, "a header"):
        return pydicom.dcmread(path, specific_tags=list(_TAGS))


@contextlib.contextmanager
def _strictly(path: Path, what: str) -> Iterator[None]:
    """Warnings and errors of pydicom, which come in many kinds and may quote the header, become one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not pydicom's
            raise
        reason = f"{what} that cannot be read ({type(error).__name__})"
        raise ReadError(path, reason, "an intact DICOM segmentation") from None
