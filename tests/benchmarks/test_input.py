"""What the contestants of the input benchmark give, on small volumes, and the table that is made of it."""

import itertools

import numpy as np
import pytest

from benchmarks import input as input_benchmark
from benchmarks import input_work

LOADERS = {"threads": input_work.Jaxmed, "nibabel": input_work.Nibabel, "copy": input_work.Copy}
BOX = np.arange(990).reshape(9, 10, 11)[:4, :4, :4]
"""What a patch of a volume holds more than its first voxel; `copy` takes its voxels in one piece."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small volumes of voxels that differ all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(input_work, "SHAPE", (9, 10, 11))
        patch.setattr(input_work, "NUM_VOLUMES", 2)
        volumes = [np.arange(990, dtype=np.int16).reshape(9, 10, 11) + 1000 * k for k in range(2)]
        patch.setattr(input_work, "make_volume", volumes.__getitem__)
        path = tmp_path_factory.mktemp("volumes")
        input_work.write_volumes(path)
        yield path


@pytest.mark.parametrize("name", LOADERS)
def test_every_setting_gives_patches_of_the_volumes(folder, name):
    work = LOADERS[name](folder, 4, 4)
    assert np.array_equal(work.volume(), input_work.make_volume(0))
    for setting in work.settings:
        loaded = work.batches(setting)
        for batch in itertools.islice(loaded, 3):
            assert (batch.shape, batch.dtype) == ((4, 4, 4, 4), np.int16)
            for patch in batch:
                offsets = np.arange(64).reshape(4, 4, 4) if name == "copy" else BOX
                assert np.array_equal(patch, patch[0, 0, 0] + offsets)
        loaded.close()


def test_what_is_read_differently_ends_the_benchmark(folder, monkeypatch):
    monkeypatch.setattr(input_benchmark, "CONTESTANTS", {"a": "benchmarks.input_work:Nibabel", "b": "x:y"})
    digests = iter("12")

    class Side:
        def __init__(self, *arguments):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def submit(self, function, *arguments):
            return self

        def result(self):
            return next(digests)

    monkeypatch.setattr(input_benchmark, "ProcessPoolExecutor", Side)
    with (
        pytest.raises(RuntimeError, match="read different volumes"),
        input_benchmark.start_all(folder, 4, 4),
    ):
        pass


def test_the_page_has_a_line_for_each_contestant():
    entry = {
        "setting": "2 threads",
        "batches": "(4, 64, 64, 64) int16",
        "tried": {"1 threads": 90.0, "2 threads": 100.0},
        "patches_per_second": [100.0, 110.0, 90.0],
        "bytes_per_second": 100.0 * 64**3 * 2,
        "ratio_of_ours": [1.0, 2.0, 3.0],
    }
    about = {"device": "d", "num_processors": 2, "load_average": 0.5, "commit": "c", "date": "t"}
    settings = {"batch": 4, "rounds": 3, "seconds": 0.1}
    tables = [{"size": 64, "contestants": {"jaxmed, threads": entry}}]
    page = input_benchmark.to_markdown({**about, **settings, "tables": tables})
    assert "| jaxmed, threads | 2 threads | 100 (90 - 110) | 0.1 | 2.00 (1.00 - 3.00) |" in page
    assert "1 threads 90; 2 threads 100" in page
