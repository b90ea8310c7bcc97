"""IDX files, the format of MNIST and EMNIST, as they are or gzipped."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from data_pipelines.readers.errors import ReadError

MAX_BYTES = 2**32

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(file: Path) -> np.ndarray:
    """Reads an array.

    Args:
        file: an IDX file; gzipped if its name ends in .gz.

    Returns:
        The array in native byte order; labels (count,), images (count, height, width).

    Raises:
        ReadError: if the file is missing, damaged, or shorter or longer than its header says.
    """
    try:
        content = file.read_bytes()
        if file.suffix == ".gz":
            with gzip.open(file) as stream:
                content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ReadError(file, f"{type(error).__name__}: {error}", "a readable file") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES:
        raise ReadError(file, f"the first bytes {content[:4].hex()}", "the header of an IDX file")
    num_axes = content[3]
    start = 4 + 4 * num_axes
    if not 1 <= num_axes <= 8 or len(content) < start:
        raise ReadError(file, f"{len(content)} bytes with {num_axes} axes", "one to eight, and their sizes")
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4"))
    dtype = np.dtype(_DTYPES[content[2]])
    size = math.prod(shape) * dtype.itemsize
    if len(content) != start + size:
        raise ReadError(file, f"{len(content)} bytes for the shape {shape}", f"{start + size} bytes")
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def find_idx(folder: Path, name: str) -> Path:
    """Finds `<name>` or `<name>.gz` anywhere below a folder.

    Raises:
        ReadError: if there is none or more than one.
    """
    files = sorted({*folder.rglob(name), *folder.rglob(f"{name}.gz")})
    if len(files) != 1:
        raise ReadError(folder, f"{len(files)} files {name}[.gz]", "one")
    return files[0]
