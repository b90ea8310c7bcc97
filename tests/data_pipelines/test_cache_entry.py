import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from data_pipelines import cache_entry

KEY = {"version": 1}
IMAGE = np.arange(120, dtype=np.int16).reshape(4, 5, 6)


@settings(deadline=None, max_examples=50)
@given(
    array=st_numpy.arrays(
        st.one_of(st_numpy.scalar_dtypes(), st_numpy.unicode_string_dtypes(max_len=4)),
        st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    )
)
def test_what_is_written_is_read_back_and_is_what_numpy_reads(tmp_path_factory, array):
    entry = tmp_path_factory.mktemp("entry") / "case0"
    cache_entry.write(entry, KEY, {"image": array})
    assert cache_entry.check(entry, KEY, "sha256") == 1
    read = cache_entry.read(entry, KEY)["image"]
    for other in (array, np.load(entry / "image.npy", allow_pickle=False)):
        assert (read.dtype, read.shape) == (other.dtype, other.shape)
        assert read.tobytes() == other.tobytes()
    assert not read.flags.writeable


def test_an_intact_entry_of_another_writer_stays(tmp_path):
    entry = tmp_path / "case0"
    cache_entry.write(entry, KEY, {"image": IMAGE})
    inode = entry.stat().st_ino
    cache_entry.write(entry, KEY, {"image": IMAGE})
    assert entry.stat().st_ino == inode
    cache_entry.write(entry, {"version": 2}, {"image": IMAGE})
    assert entry.stat().st_ino != inode
    assert list(tmp_path.iterdir()) == [entry]


def test_reading_another_key_or_a_lost_file_is_an_error(tmp_path):
    entry = tmp_path / "case0"
    cache_entry.write(entry, KEY, {"image": IMAGE})
    with pytest.raises(cache_entry.EntryError, match=r"manifest\.json is of another key"):
        cache_entry.read(entry, {"version": 2})
    (entry / "image.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"case0/image\.npy"):
        cache_entry.read(entry, KEY)


class Finalised:
    """Cyclic garbage whose collection runs Python code, and so lets other threads in."""

    def __init__(self):
        self.me = self

    def __del__(self):
        sum(range(200))


def test_threads_that_map_entries_do_not_disturb_each_other(tmp_path):
    cache_entry.write(tmp_path / "case0", KEY, {"image": IMAGE, "label": IMAGE > 0})

    def read_often():
        for _ in range(500):
            Finalised()
            cache_entry.read(tmp_path / "case0", KEY)

    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(50)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read_often) for _ in range(4)]
        assert [reader.exception() for reader in readers] == [None] * 4
    finally:
        gc.set_threshold(*threshold)
        sys.setswitchinterval(interval)
