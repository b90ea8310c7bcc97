import gzip
import struct

import numpy as np
import pytest

from data_pipelines.readers import idx
from data_pipelines.readers.errors import ReadError


def encode(array, code):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize(("dtype", "code"), [(">u1", 0x08), (">i2", 0x0B), (">f4", 0x0D)])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_what_the_format_says(tmp_path, dtype, code, suffix):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    content = encode(array, code)
    file = tmp_path / f"images-idx3-ubyte{suffix}"
    file.write_bytes(gzip.compress(content) if suffix else content)
    found = idx.read_idx(idx.find_idx(tmp_path, "images-idx3-ubyte"))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c[:-1],
        lambda c: c + b"\0",
        lambda c: b"\1" + c[1:],
        lambda c: c[:2] + b"\x07" + c[3:],
        lambda c: c[:3] + b"\0" + c[4:],
        lambda c: c[:3] + b"\xff" + c[4:],
        lambda c: c[:3],
    ],
)
def test_refuses_damage(tmp_path, damage):
    file = tmp_path / "labels"
    file.write_bytes(damage(encode(np.arange(6, dtype=np.uint8).reshape(2, 3), 8)))
    with pytest.raises(ReadError, match="labels: found"):
        idx.read_idx(file)


def test_refuses_a_cut_archive_and_missing_or_double_files(tmp_path):
    file = tmp_path / "labels.gz"
    file.write_bytes(gzip.compress(encode(np.zeros(3, np.uint8), 8))[:-9])
    with pytest.raises(ReadError, match="readable"):
        idx.read_idx(file)
    with pytest.raises(ReadError, match="0 files"):
        idx.find_idx(tmp_path, "images")
    (tmp_path / "labels").touch()
    with pytest.raises(ReadError, match="2 files"):
        idx.find_idx(tmp_path, "labels")
