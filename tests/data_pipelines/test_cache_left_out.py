"""Cases that cannot be read while a cache is built: left out of training up to a limit, never of tests."""

import errno
import logging
import threading
import time

import numpy as np
import pytest

from data_pipelines.cache import BuildError, open_cache
from data_pipelines.readers.errors import ReadError

KEY = {"version": 1}
NAMES = [f"case{number}" for number in range(6)]
TRAIN = NAMES[:4]


def make_build(bad, error=lambda name: ReadError(f"{name}.nii.gz", "damaged data", "an intact file")):
    def build(name):
        if name in bad:
            raise error(name)
        return {"image": np.full(3, int(name[-1]))}

    return build


@pytest.mark.faults
def test_bad_cases_of_training_are_named_counted_and_left_out(tmp_path, caplog, record_fault):
    done = []
    cache = open_cache(
        tmp_path,
        KEY,
        NAMES,
        make_build({"case1", "case3"}),
        may_fail=TRAIN,
        max_failures=2,
        num_threads=1,
        progress=lambda *counts: done.append(counts),
    )
    assert list(cache) == ["case0", "case2", "case4", "case5"]
    assert [int(arrays["image"][0]) for arrays in cache.values()] == [0, 2, 4, 5]
    assert dict(cache.left_out) == {
        name: f"ReadError: {name}.nii.gz: found damaged data; wanted an intact file"
        for name in ("case1", "case3")
    }
    assert done == [(number, 6) for number in range(1, 7)]
    assert [record.message for record in caplog.records] == [
        "cache entry 'case1': ReadError: case1.nii.gz: found damaged data; wanted an intact file; "
        "left out (1 of at most 2)",
        "cache entry 'case3': ReadError: case3.nii.gz: found damaged data; wanted an intact file; "
        "left out (2 of at most 2)",
        "2 cases could not be read and are left out: case1, case3",
    ]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    record_fault("8 two of four training cases unreadable, two allowed", caplog.records[-1].message)


@pytest.mark.faults
def test_one_bad_case_too_many_ends_the_preparation(tmp_path, record_fault):
    with pytest.raises(BuildError, match=r"cache entry 'case\d': ReadError: case\d.nii.gz: .*") as caught:
        open_cache(tmp_path, KEY, NAMES, make_build(TRAIN[:3]), may_fail=TRAIN, max_failures=2)
    assert str(caught.value).endswith("(3 cases cannot be read; wanted at most 2)")
    assert isinstance(caught.value.__cause__, ReadError)
    record_fault("8 three training cases unreadable, two allowed", "BuildError names the third and the limit")


@pytest.mark.faults
def test_a_bad_case_of_evaluation_is_never_left_out(tmp_path, record_fault):
    with pytest.raises(BuildError, match="cache entry 'case5': ReadError: case5") as caught:
        open_cache(tmp_path, KEY, NAMES, make_build({"case5"}), may_fail=TRAIN, max_failures=9)
    record_fault("8 unreadable test case while 9 bad cases are allowed", str(caught.value))


def test_without_one_readable_case_there_is_nothing_to_train_on(tmp_path):
    with pytest.raises(BuildError, match="and no other of 4 can be read either"):
        open_cache(tmp_path, KEY, NAMES, make_build(TRAIN), may_fail=TRAIN, max_failures=9)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError(), KeyError("image")], ids=str
)
def test_faults_of_the_machine_and_bugs_are_not_left_out(tmp_path, error):
    with pytest.raises(BuildError) as caught:
        open_cache(
            tmp_path, KEY, NAMES, make_build({"case1"}, lambda name: error), may_fail=TRAIN, max_failures=9
        )
    assert caught.value.__cause__ is error
    assert not caught.value.unreadable


def test_an_entry_that_cannot_be_written_is_no_bad_case(tmp_path, monkeypatch):
    def forbidden(entry, key, arrays):
        raise PermissionError(errno.EACCES, "Permission denied", str(entry))

    monkeypatch.setattr("data_pipelines.cache_entry.write", forbidden)
    with pytest.raises(BuildError, match="PermissionError"):
        open_cache(tmp_path, KEY, NAMES, make_build(()), may_fail=NAMES, max_failures=9)


def test_what_was_left_out_is_tried_again(tmp_path):
    options = {"may_fail": TRAIN, "max_failures": 1}
    first = open_cache(tmp_path, KEY, NAMES, make_build({"case1"}), **options)
    assert "case1" not in first
    second = open_cache(tmp_path, KEY, NAMES, make_build(()), **options)
    assert (list(second), dict(second.left_out)) == (NAMES, {})


@pytest.mark.faults
def test_an_error_does_not_wait_for_a_build_that_hangs(tmp_path, record_fault):
    release, begun = threading.Event(), threading.Event()

    def build(name):
        if name == "case0":
            begun.set()
            release.wait(60)
        begun.wait(60)
        raise ReadError(f"{name}.nii.gz", "damaged data", "an intact file")

    start = time.monotonic()
    with pytest.raises(BuildError, match="case1"):
        open_cache(tmp_path, KEY, ["case0", "case1"], build, num_threads=2)
    assert time.monotonic() - start < 20
    release.set()
    record_fault("9 a case fails while another hangs in preparation", "BuildError names it, without waiting")
