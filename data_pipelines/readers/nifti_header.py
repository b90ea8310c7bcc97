"""NIfTI headers and byte streams, distrusted: nothing is allocated on the word of a header alone."""

import gzip
import math
import warnings
import zlib
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.nifti1 import data_type_codes
from nibabel.spatialimages import HeaderDataError

from data_pipelines import orientation
from data_pipelines.readers.errors import ReadError

MAX_VOXELS = 2**30
"""Most voxels of a file (4 GiB as float32)."""

MAX_VOXEL_MM = 1e4
"""Largest distance of neighbouring voxels."""

MAX_ORIGIN_MM = 1e7
"""Largest coordinate of the first voxel."""

MAX_DEFLATE_RATIO = 1032
"""No deflate stream decompresses to more than this many times its size."""

MAX_EXTENSION_BYTES = 2**26
"""Most bytes between the header and the voxels."""

MAX_COSINE = 1e-3
"""Largest cosine between voxel axes that still counts as orthogonal."""

_FORM_CODES = range(6)
_HEADER_CLASSES = {348: nib.Nifti1Header, 540: nib.Nifti2Header}


@dataclass(frozen=True)
class VoxelLayout:
    """Where the voxels of a file lie and how to decode them.

    Attributes:
        shape: voxels along x, y and z; and how many volumes, where there are several.
        dtype: stored type, byte order included.
        offset: bytes before the first voxel.
        slope: factor from stored to real values.
        intercept: summand from stored to real values.
        affine: (4, 4) matrix from voxel indices to RAS world coordinates in mm.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float
    affine: np.ndarray

    @property
    def end(self) -> int:
        """Bytes up to the end of the last voxel."""
        return self.offset + int(np.prod(self.shape)) * self.dtype.itemsize


def open_stream(path: Path) -> BufferedIOBase:
    """Opens the decompressed bytes of a .nii or .nii.gz file; reading a .nii.gz to its end checks the CRC.

    Args:
        path: the file.

    Returns:
        A binary stream at the first byte of the header.

    Raises:
        ReadError: no such file, an empty one, or content that the name does not announce.
    """
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ReadError(path, f"the file name {path.name!r}", "a name that ends in .nii or .nii.gz")
    if not path.is_file():
        raise ReadError(path, "no file", "a NIfTI file")
    if path.stat().st_size == 0:
        raise ReadError(path, "an empty file", "a NIfTI file")
    with path.open("rb") as stream:
        gzipped = stream.read(2) == b"\x1f\x8b"
    if gzipped != path.name.endswith(".gz"):
        raise ReadError(
            path,
            "gzip data" if gzipped else "bytes that are not gzip",
            "gzip data" if path.name.endswith(".gz") else "an uncompressed NIfTI file",
        )
    return gzip.open(path) if gzipped else path.open("rb")


def read_layout(
    stream: BufferedIOBase, path: Path, accept_zero_slope: bool, *, many: bool = False
) -> VoxelLayout:
    """Reads the header and checks each field that decoding depends on, before any voxel is read.

    Args:
        stream: decompressed bytes, at the start of the file.
        path: the file, for messages and for its true size.
        accept_zero_slope: whether `scl_slope` 0 stands for "stored values are real values".
        many: whether several volumes, behind each other along a fourth axis, are wanted instead of one.

    Returns:
        The layout of the voxels.

    Raises:
        ReadError: for every field that is corrupt, unsupported or at odds with the size of the file.
    """
    head = _read_up_to(stream, path, 540)
    if len(head) < 348:
        raise ReadError(path, f"{len(head)} bytes", "a NIfTI header of at least 348 bytes")
    header = _parse(head, path)
    dtype = _dtype(header, path)
    shape = _shape(header, path, many)
    slope, intercept = _scaling(header, path, accept_zero_slope)
    layout = VoxelLayout(shape, dtype, _offset(header, path), slope, intercept, _affine(header, path))
    _check_size(layout, path)
    return layout


def read_voxel_bytes(path: Path, layout: VoxelLayout) -> np.ndarray:
    """Reads all bytes up to the end of the voxels, and the file to its end.

    Args:
        path: the file.
        layout: as `read_layout` found it.

    Returns:
        (layout.end,) array of uint8.

    Raises:
        ReadError: truncated or damaged data, or bytes after the last voxel.
    """
    content = np.empty(layout.end, np.uint8)
    with open_stream(path) as stream:
        filled = _fill(stream, path, content)
        if filled < layout.end:
            raise ReadError(path, f"{filled} bytes (truncated)", f"{layout.end} bytes as the header says")
        # Asking for one byte more makes gzip read its trailer and compare the CRC.
        if _read_up_to(stream, path, 1):
            raise ReadError(path, "data after the last voxel", f"{layout.end} bytes as the header says")
    return content


def _fill(stream: BufferedIOBase, path: Path, content: np.ndarray) -> int:
    view, filled = content.data, 0
    try:
        while filled < len(content) and (count := stream.readinto(view[filled:])):
            filled += count
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(path, error) from error
    return filled


def _read_up_to(stream: BufferedIOBase, path: Path, count: int) -> bytes:
    try:
        return stream.read(count)
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ReadError:
    if isinstance(error, EOFError):
        return ReadError(path, "a gzip stream that ends too early (truncated)", "a complete file")
    return ReadError(path, f"damaged data ({error})", "an intact file")


def _parse(head: bytes, path: Path) -> nib.Nifti1Header:
    sizes = {int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")}
    size = next(iter(sizes & set(_HEADER_CLASSES)), 0)
    if not size or len(head) < size:
        raise ReadError(path, "no NIfTI header", "one of 348 (NIfTI-1) or 540 (NIfTI-2) bytes")
    header = _HEADER_CLASSES[size](head[:size], check=False)
    if header["magic"].item()[:3] not in (b"n+1", b"n+2"):
        raise ReadError(path, "no magic of a single-file NIfTI", "n+1 or n+2")
    # The lowest three bits name the unit of length.
    unit = int(header["xyzt_units"]) & 7
    if unit not in (0, 2):
        names = {1: "metres", 3: "micrometres"}
        raise ReadError(path, f"voxel sizes in {names.get(unit, f'unit {unit}')}", "millimetres")
    return header


def _dtype(header: nib.Nifti1Header, path: Path) -> np.dtype:
    code = int(header["datatype"])
    dtype: Any = data_type_codes.dtype.get(code)
    if dtype is None or dtype.kind not in "iuf" or dtype.itemsize not in (1, 2, 4, 8):
        raise ReadError(path, f"data type code {code}", "integers or floats of 1 to 8 bytes")
    return dtype.newbyteorder(header.endianness)


def _shape(header: nib.Nifti1Header, path: Path, many: bool) -> tuple[int, ...]:
    rank = int(header["dim"][0])
    dims = tuple(int(size) for size in header["dim"][1 : 1 + max(0, rank)])
    if many:
        wanted = "4"
    else:
        wanted = "3, or 4 with a last one of size 1"
        dims = dims[:3] if rank == 4 and dims[3] == 1 else dims
    if len(dims) != (4 if many else 3):
        raise ReadError(path, f"{rank} dimensions {dims}", wanted)
    if min(dims) < 1:
        raise ReadError(path, f"shape {dims}", "at least one voxel along each axis")
    # Python integers: the product of hostile sizes does not overflow.
    if math.prod(dims) > MAX_VOXELS:
        raise ReadError(path, f"a header that claims shape {dims}", f"at most {MAX_VOXELS} voxels")
    return dims


def _scaling(header: nib.Nifti1Header, path: Path, accept_zero_slope: bool) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 and accept_zero_slope:
        return 1.0, 0.0
    if slope == 0 or not (np.isfinite(slope) and np.isfinite(intercept)):
        raise ReadError(
            path,
            f"scl_slope {slope:g} and scl_inter {intercept:g}",
            "a finite slope other than 0 and a finite intercept"
            + (" (or accept_zero_slope: the stored values are meant)" if slope == 0 else ""),
        )
    return slope, intercept


def _offset(header: nib.Nifti1Header, path: Path) -> int:
    offset, least = float(header["vox_offset"]), header.single_vox_offset
    # Zero is what some writers leave for "right after the header".
    if offset == 0:
        return int(least)
    if not (least <= offset <= MAX_EXTENSION_BYTES and offset == int(offset)):
        raise ReadError(
            path, f"vox_offset {offset:g}", f"a whole number from {least} to {MAX_EXTENSION_BYTES}"
        )
    return int(offset)


def _affine(header: nib.Nifti1Header, path: Path) -> np.ndarray:
    codes = {name: int(header[name]) for name in ("qform_code", "sform_code")}
    for name, code in codes.items():
        if code not in _FORM_CODES:
            raise ReadError(path, f"{name} {code}", "0 to 5, the coordinate systems that there are")
    try:
        affine = np.asarray(header.get_best_affine(), np.float64)
    except (ValueError, HeaderDataError) as error:
        raise ReadError(
            path, f"an unusable qform ({error})", "a rotation and positive voxel sizes"
        ) from error
    _check_affine(affine, path)
    if not any(codes.values()):
        warnings.warn(
            f"{path}: found neither qform nor sform; wanted one: orientation "
            f"{orientation.axis_codes(affine)} is assumed",
            stacklevel=4,
        )
    return affine


def _check_affine(affine: np.ndarray, path: Path) -> None:
    if not np.isfinite(affine).all():
        raise ReadError(path, "an affine with NaN or inf", "a finite affine")
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if sizes.min() < 1e-6 or abs(np.linalg.det(affine[:3, :3] / np.maximum(sizes, 1e-6))) < 1e-3:
        raise ReadError(path, "a singular affine", "three independent voxel axes")
    if sizes.max() > MAX_VOXEL_MM or np.abs(affine[:3, 3]).max() > MAX_ORIGIN_MM:
        raise ReadError(
            path,
            f"voxels of {sizes.max():.4g} mm at {np.abs(affine[:3, 3]).max():.4g} mm",
            f"at most {MAX_VOXEL_MM:g} mm at {MAX_ORIGIN_MM:g} mm",
        )
    directions = affine[:3, :3] / sizes
    cosine = np.abs(directions.T @ directions - np.eye(3)).max()
    if cosine > MAX_COSINE:
        raise ReadError(path, f"a sheared affine (cosine {cosine:.3g} between axes)", "orthogonal voxel axes")


def _check_size(layout: VoxelLayout, path: Path) -> None:
    size = path.stat().st_size
    if path.name.endswith(".gz"):
        if layout.end > size * MAX_DEFLATE_RATIO:
            raise ReadError(
                path,
                f"a header that claims {layout.end} bytes",
                f"no more than {size} compressed bytes can hold",
            )
    elif layout.end != size:
        state = "truncated" if size < layout.end else "too long"
        raise ReadError(path, f"{size} bytes ({state})", f"{layout.end} bytes as the header says")
