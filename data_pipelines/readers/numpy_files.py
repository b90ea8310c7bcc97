"""NumPy's .npy and .npz files, read strictly: numbers only, never pickles, no memory on a header's word.

The header is parsed here: NumPy's own parser goes through `ast`, which in threads of Python 3.11 fails at
random with a SystemError.
"""

import math
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from data_pipelines.example import Example
from data_pipelines.readers.errors import ReadError
from data_pipelines.readers.voxels import to_finite_float32

MAX_ARRAYS = 10_000
"""Most arrays of one .npz file."""

MAX_NPZ_BYTES = 2**33
"""Most bytes of all arrays of one .npz file; larger ones belong into .npy files, which are mapped."""

MAX_DEFLATE_RATIO = 1032
"""No deflate stream decompresses to more than this many times its size."""

_MAGIC = b"\x93NUMPY"
_MAX_HEADER_BYTES = 10_000
_HEADER = re.compile(
    r"\{'descr': '([<>|=]?(?:b1|[iu][1248]|f[248]|c8|c16))', "
    r"'fortran_order': (True|False), "
    r"'shape': (\((?:(?:0|[1-9]\d{0,18}), ?)*(?:0|[1-9]\d{0,18})?\)),? ?\} *\n?"
)


@dataclass(frozen=True)
class _Layout:
    dtype: np.dtype
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    offset: int

    @property
    def end(self) -> int:
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def map_array(path: str | Path) -> np.ndarray:
    """Maps the array of a .npy file into memory: what is not touched is not read.

    Args:
        path: the file.

    Returns:
        Read-only array of the stored shape, dtype and order.

    Raises:
        ReadError: no file, no .npy header, a dtype that is not of numbers or bools (objects are pickles), or
            a size that contradicts the header.
    """
    path = Path(path)
    size = _file_size(path, ".npy")
    with path.open("rb") as stream:
        layout = _parse(stream.read(12 + _MAX_HEADER_BYTES), path, "")
    _check_end(layout, size, path, "")
    return _view(path, layout)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Reads all arrays of a .npz file, each to its checksum.

    Args:
        path: the file; stored or deflated.

    Returns:
        The arrays by name.

    Raises:
        ReadError: no file, a damaged or encrypted archive, members that are no arrays or repeat, more than
            `MAX_ARRAYS` or `MAX_NPZ_BYTES`, sizes that no deflate stream can reach, and the faults of
            `map_array`.
    """
    path = Path(path)
    size = _file_size(path, ".npz")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, size, path)
            return {member.filename[:-4]: _read_member(archive, member, path) for member in members}
    except ReadError:
        raise
    # zipfile answers damage with errors of many kinds.
    except Exception as error:
        raise ReadError(path, f"a damaged archive ({error})", "an intact .npz file") from error


def read_volume(
    path: str | Path, *, spacing_mm: tuple[float, float, float], replace_nonfinite: bool = False
) -> Example:
    """Reads a .npy file as a volume.

    Args:
        path: array of (depth, height, width) = superior, posterior, left: the file cannot say.
        spacing_mm: distance of neighbouring voxels along these axes.
        replace_nonfinite: gives NaN and infinite voxels the smallest finite value of the volume.

    Returns:
        The case with a float32 image, named after the file, without affine.

    Raises:
        ReadError: see `map_array`; other than three dimensions, no voxel, complex numbers, and voxels that
            are not finite.
    """
    path = Path(path)
    values = map_array(path)
    if values.ndim != 3 or values.size == 0:
        raise ReadError(path, f"shape {values.shape}", "(depth, height, width) of at least one voxel each")
    if values.dtype.kind == "c":
        raise ReadError(path, f"dtype {values.dtype}", "real numbers")
    image = to_finite_float32(np.ascontiguousarray(values), path, replace_nonfinite)
    return Example(subject=path.stem, image=image, spacing_mm=spacing_mm)


def _file_size(path: Path, suffix: str) -> int:
    if path.suffix != suffix:
        raise ReadError(path, f"the file name {path.name!r}", f"a name that ends in {suffix}")
    if not path.is_file():
        raise ReadError(path, "no file", f"a {suffix} file")
    size = path.stat().st_size
    if size == 0:
        raise ReadError(path, "an empty file", f"a {suffix} file")
    return size


def _parse(head: bytes, path: Path, member: str) -> _Layout:
    wanted = f"a .npy header{member}"
    if head[:6] != _MAGIC or head[6:8] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise ReadError(path, f"no magic and version of .npy{member}", wanted)
    begin = 10 if head[6] == 1 else 12
    offset = begin + int.from_bytes(head[8:begin], "little")
    if offset > min(len(head), begin + _MAX_HEADER_BYTES):
        raise ReadError(path, f"a header of {offset} bytes{member} (truncated or too long)", wanted)
    text = head[begin:offset].decode("latin-1")
    if (match := _HEADER.fullmatch(text)) is None:
        raise ReadError(path, f"the header {text.strip()[:120]!a}{member}", f"numbers or bools, in {wanted}")
    shape = tuple(int(part) for part in match[3].strip("()").split(",") if part.strip())
    too_large = len(shape) > 32 or math.prod(max(1, size) for size in shape) >= 2**59
    if too_large or (len(shape) == 1 and "," not in match[3]):
        raise ReadError(path, f"the shape {match[3][:120]}{member}", "a tuple of at most 32 sizes")
    return _Layout(np.dtype(match[1]), shape, "F" if match[2] == "True" else "C", offset)


def _check_end(layout: _Layout, size: int, path: Path, member: str) -> None:
    if layout.end != size:
        state = "truncated" if size < layout.end else "too long"
        raise ReadError(path, f"{size} bytes{member} ({state})", f"{layout.end} bytes as the header says")


def _view(path: Path, layout: _Layout) -> np.ndarray:
    if 0 in layout.shape:
        array = np.empty(layout.shape, layout.dtype)
        array.flags.writeable = False
        return array
    mapped = np.memmap(path, layout.dtype, "r", layout.offset, layout.shape, layout.order)
    # A view of the base class: every slice of a memmap costs a Python call of its own.
    return np.asarray(mapped)


def _check_members(members: list[zipfile.ZipInfo], size: int, path: Path) -> None:
    names = [member.filename for member in members]
    if len(names) > MAX_ARRAYS:
        raise ReadError(path, f"{len(names)} arrays", f"at most {MAX_ARRAYS}")
    if len(set(names)) != len(names):
        raise ReadError(path, "two arrays of one name", "distinct names")
    for member in members:
        if not member.filename.endswith(".npy"):
            raise ReadError(path, f"the member {member.filename[:80]!a}", "arrays only")
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ReadError(path, f"an encrypted or unusually compressed {member.filename[:80]!a}", "deflate")
        if member.file_size > MAX_DEFLATE_RATIO * member.compress_size:
            raise ReadError(
                path,
                f"{member.filename[:80]!a} that claims {member.file_size} bytes",
                f"no more than {member.compress_size} compressed bytes can hold",
            )
    total = sum(member.file_size for member in members)
    compressed = sum(member.compress_size for member in members)
    if total > MAX_NPZ_BYTES or compressed > size:
        raise ReadError(
            path,
            f"arrays of {total} bytes, compressed to {compressed}",
            f"at most {MAX_NPZ_BYTES}, in the file's {size}",
        )


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> np.ndarray:
    place = f" in {member.filename[:80]!a}"
    with archive.open(member) as stream:
        # Reading on to the end makes zipfile compare the checksum.
        content = stream.read(member.file_size)
        if len(content) != member.file_size or stream.read(1):
            raise ReadError(path, f"another size than announced{place}", f"{member.file_size} bytes")
    layout = _parse(content[: 12 + _MAX_HEADER_BYTES], path, place)
    _check_end(layout, member.file_size, path, place)
    return np.ndarray(layout.shape, layout.dtype, content, layout.offset, order=layout.order)
