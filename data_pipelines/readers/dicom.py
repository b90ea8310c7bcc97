"""DICOM series of single-frame CT, MR and PT slices, assembled strictly into volumes."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_pipelines import orientation
from data_pipelines.example import Example
from data_pipelines.readers import dicom_slices
from data_pipelines.readers.dicom_slices import SliceHeader
from data_pipelines.readers.errors import ReadError
from data_pipelines.readers.nifti_header import MAX_ORIGIN_MM, MAX_VOXEL_MM, MAX_VOXELS

GAP_TOLERANCE = 0.02
"""Largest deviation of a slice distance from their median, as a fraction of it."""

TILT_TOLERANCE = 1e-3
"""Largest sideways shift of the slices per distance along their normal."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class SeriesFiles:
    """The slices of one series, sorted along their normal."""

    slices: tuple[SliceHeader, ...]

    @property
    def series_uid(self) -> str:
        """SeriesInstanceUID."""
        return self.slices[0].series_uid

    @property
    def study_uid(self) -> str:
        """StudyInstanceUID."""
        return self.slices[0].study_uid

    @property
    def frame_of_reference_uid(self) -> str:
        """FrameOfReferenceUID, empty where absent."""
        return self.slices[0].frame_of_reference_uid

    @property
    def manufacturer(self) -> str:
        """Manufacturer of the scanner."""
        return self.slices[0].manufacturer

    @property
    def kernel(self) -> str:
        """ConvolutionKernel, empty where absent."""
        return self.slices[0].kernel

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, sorted along the slices' normal."""
        return tuple(one.path for one in self.slices)

    @property
    def subject(self) -> str:
        """A name that is free of patient data: "series-" and a hash of the series' identifier."""
        return hashed_name("series", self.series_uid)


def hashed_name(kind: str, uid: str) -> str:
    """A name that is free of patient data.

    Args:
        kind: prefix of the name.
        uid: the unique identifier that the name stands for.

    Returns:
        The prefix, a hyphen and the first 12 hexadecimal digits of the identifier's SHA-256.
    """
    return f"{kind}-{hashlib.sha256(uid.encode()).hexdigest()[:12]}"


def find_series(folder: str | Path) -> list[SeriesFiles]:
    """Lists the CT, MR and PT series below a folder, from headers alone.

    Files that are no DICOM files and DICOM objects of other kinds (segmentations, reports, screenshots) are
    passed over.

    Args:
        folder: searched with its subfolders.

    Returns:
        One entry per SeriesInstanceUID, in the order of study and series identifiers.

    Raises:
        ReadError: no such folder, or a slice whose header is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ReadError(folder, "no folder", "a folder of DICOM files")
    groups: dict[tuple[str, str], list[SliceHeader]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (header := dicom_slices.read_header(path)):
            groups[header.study_uid, header.series_uid].append(header)
    return [SeriesFiles(_sorted_along_normal(groups[key])) for key in sorted(groups)]


def read_series(source: str | Path | Sequence[str | Path]) -> Example:
    """Reads one series as a volume, brought to (depth, height, width) = superior, posterior, left.

    The slices are sorted by ImagePositionPatient along their normal; file names and instance numbers play
    no part. Each slice is rescaled by its own slope and intercept.

    Args:
        source: a folder that holds one series, or the files of one.

    Returns:
        The case with a float32 image (HU for CT), named by a hash of the series' identifier. The source
        affine and source shape are those of (column, row, slice) indices.

    Raises:
        ReadError: anything but one complete, regular series: missing or duplicate slices, mixed spacing,
            size, orientation or series, gantry tilt, damaged pixels.
    """
    series = _one_series(source)
    affine, shape = series_grid(series)
    volume = np.empty(shape[::-1], np.float32)
    for index, path in enumerate(series.files):
        volume[index] = dicom_slices.read_pixels(path)
    image, canonical_affine = orientation.to_canonical(volume.transpose(), affine)
    return Example(
        subject=series.subject,
        image=image,
        spacing_mm=orientation.voxel_sizes(canonical_affine),
        affine=canonical_affine,
        source_affine=affine,
        source_shape=shape,
    )


def series_grid(series: SeriesFiles) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Checks that the slices of a series form a regular grid, and gives it.

    Args:
        series: sorted slices.

    Returns:
        (4, 4) affine from (column, row, slice) indices to RAS world coordinates in mm, and the number of
        columns, rows and slices.

    Raises:
        ReadError: see `read_series`.
    """
    first, last, count = series.slices[0], series.slices[-1], len(series.slices)
    if count < 2:
        raise ReadError(first.path, "a single slice", "at least two slices of the series")
    for other in series.slices[1:]:
        _check_alike(first, other)
    if count * first.shape[0] * first.shape[1] > MAX_VOXELS:
        raise ReadError(first.path, f"{count} slices of {first.shape}", f"at most {MAX_VOXELS} voxels")
    _check_positions(series.slices)
    affine = np.eye(4)
    affine[:3, 0] = np.array(first.orientation[:3]) * first.spacing_mm[1]
    affine[:3, 1] = np.array(first.orientation[3:]) * first.spacing_mm[0]
    affine[:3, 2] = np.subtract(last.position_mm, first.position_mm) / (count - 1)
    affine[:3, 3] = first.position_mm
    sizes = orientation.voxel_sizes(affine)
    if not (max(sizes) <= MAX_VOXEL_MM and np.abs(affine[:3, 3]).max() <= MAX_ORIGIN_MM):
        raise ReadError(first.path, "voxels beyond any scanner", f"at most {MAX_VOXEL_MM:g} mm a side")
    return LPS_TO_RAS @ affine, (first.shape[1], first.shape[0], count)


def _one_series(source: str | Path | Sequence[str | Path]) -> SeriesFiles:
    if isinstance(source, str | Path):
        found = find_series(source)
        if len(found) != 1:
            raise ReadError(source, f"{len(found)} CT, MR or PT series", "one (find_series lists them)")
        return found[0]
    if not source:
        raise ValueError("source: found no files; wanted the slices of one series")
    headers = []
    for path in map(Path, source):
        if not path.is_file():
            raise ReadError(path, "no file", "a DICOM slice")
        if (header := dicom_slices.read_header(path)) is None:
            raise ReadError(path, "no CT, MR or PT image", "a DICOM slice")
        headers.append(header)
    return SeriesFiles(_sorted_along_normal(headers))


def _sorted_along_normal(headers: list[SliceHeader]) -> tuple[SliceHeader, ...]:
    normal = headers[0].normal
    return tuple(sorted(headers, key=lambda header: float(normal @ header.position_mm)))


def _check_alike(first: SliceHeader, other: SliceHeader) -> None:
    fields = {
        "SeriesInstanceUID": (first.series_uid, other.series_uid),
        "StudyInstanceUID": (first.study_uid, other.study_uid),
        "FrameOfReferenceUID": (first.frame_of_reference_uid, other.frame_of_reference_uid),
        "Modality": (first.modality, other.modality),
        "Rows and Columns": (first.shape, other.shape),
    }
    for name, (wanted, found) in fields.items():
        if found != wanted:
            raise ReadError(other.path, f"another {name} than in {first.path.name}", "one for all slices")
    for name, wanted, found in (
        ("PixelSpacing", first.spacing_mm, other.spacing_mm),
        ("ImageOrientationPatient", first.orientation, other.orientation),
    ):
        if np.abs(np.subtract(found, wanted)).max() > 1e-4:
            raise ReadError(other.path, f"another {name} than in {first.path.name}", "one for all slices")


def _check_positions(slices: tuple[SliceHeader, ...]) -> None:
    positions = np.array([one.position_mm for one in slices])
    offsets = positions - positions[0]
    along = offsets @ slices[0].normal
    gaps = np.diff(along)
    if gaps.min() < 1e-3:
        index = int(np.argmin(gaps))
        raise ReadError(
            slices[index + 1].path,
            f"the position of {slices[index].path.name} again",
            "one slice per position",
        )
    sideways = np.linalg.norm(offsets - along[:, None] * slices[0].normal, axis=1).max()
    # Positions are often rounded to hundredths of a millimetre.
    if sideways > max(TILT_TOLERANCE * along[-1], 0.02):
        raise ReadError(
            slices[-1].path,
            f"slices that shift sideways by up to {sideways:.3g} mm (gantry tilt)",
            "slices stacked along their normal",
        )
    _check_gaps(slices, gaps)


def _check_gaps(slices: tuple[SliceHeader, ...], gaps: np.ndarray) -> None:
    # The lower median: of two gaps, the wider is the one where a slice is missing.
    median = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    index = int(np.argmax(np.abs(gaps - median)))
    if abs(gaps[index] - median) <= GAP_TOLERANCE * median:
        return
    missing = round(gaps[index] / median) - 1
    whole = missing >= 1 and abs(gaps[index] / median - missing - 1) <= GAP_TOLERANCE * (missing + 1)
    raise ReadError(
        slices[index].path,
        f"a gap of {gaps[index]:.4g} mm to the next slice"
        + (f" ({missing} missing)" if whole else " (mixed spacing)"),
        f"{median:.4g} mm as between most slices",
    )
