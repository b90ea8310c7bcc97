import gc
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.cache import BuildError, fingerprint, open_cache, open_source
from data_pipelines.readers.errors import ReadError

KEY = {"spacing_mm": [1.0, 1.0, 1.0], "version": 1}
NAMES = ["case0", "case1", "case 2+b"]


def arrays_of(name):
    image = np.random.default_rng(len(name)).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
    return {
        "image": image,
        "label": np.asfortranarray(image > 0),
        "boxes": np.zeros((0, 6), np.float32),
        "spacing_mm": np.float64(0.7),
    }


class Builder:
    """Counts the builds."""

    def __init__(self):
        self.names = []

    def __call__(self, name):
        self.names.append(name)
        return arrays_of(name)


def assert_intact(cache, names=NAMES):
    assert list(cache) == list(names)
    for name in names:
        expected = arrays_of(name)
        assert cache[name].keys() == expected.keys()
        for key, array in cache[name].items():
            assert array.dtype == expected[key].dtype
            assert array.shape == expected[key].shape
            assert np.array_equal(array, expected[key])


def temporaries(folder):
    return list(Path(folder).rglob(".*"))


def test_builds_once_and_reads_back(tmp_path):
    builder, calls = Builder(), []
    for _ in range(2):
        cache = open_cache(tmp_path, KEY, NAMES, builder, progress=lambda *done: calls.append(done))
        assert_intact(cache)
        assert sorted(builder.names) == sorted(NAMES)
    assert calls == [(1, 3), (2, 3), (3, 3)] * 2
    assert temporaries(tmp_path) == []


def test_layout_is_npy_files_and_a_manifest(tmp_path):
    cache = open_cache(tmp_path, KEY, NAMES, arrays_of)
    entry = cache.folder / "case0"
    assert cache.folder.parent == tmp_path
    assert len(cache.folder.name) == 10
    assert {path.name for path in entry.iterdir()} == {
        "image.npy", "label.npy", "boxes.npy", "spacing_mm.npy", "manifest.json",
    }  # fmt: skip
    manifest = json.loads((entry / "manifest.json").read_text())
    assert manifest["key"] == KEY
    described = manifest["files"]["image"]
    assert (described["shape"], described["dtype"]) == ([4, 5, 6], "<i2")
    assert described["size"] == (entry / "image.npy").stat().st_size
    digest = subprocess.run(["sha256sum", entry / "image.npy"], capture_output=True, text=True, check=True)
    assert described["sha256"] == digest.stdout.split()[0]


def test_arrays_are_read_only_views_of_the_files(tmp_path):
    cache = open_cache(tmp_path, KEY, NAMES, arrays_of)
    image = cache["case0"]["image"]
    assert type(image) is np.ndarray
    assert np.array_equal(image, np.load(tmp_path / cache.folder / "case0" / "image.npy"))
    assert isinstance(image.base, np.memmap)
    assert image.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        image[0] = 0
    with pytest.raises(TypeError):
        cache["case0"]["image"] = image


def test_looking_a_name_up_is_that_of_a_mapping(tmp_path):
    cache = open_cache(tmp_path, KEY, NAMES, arrays_of)
    assert len(cache) == 3
    assert "case0" in cache
    assert "case9" not in cache
    with pytest.raises(KeyError, match="case9"):
        cache["case9"]


def test_another_key_is_another_cache(tmp_path):
    builder = Builder()
    first = open_cache(tmp_path, KEY, ["case0"], builder)
    same = open_cache(tmp_path, dict(reversed(KEY.items())), ["case0"], builder)
    other = open_cache(tmp_path, {**KEY, "version": 2}, ["case0"], builder)
    assert first.folder == same.folder != other.folder
    assert builder.names == ["case0", "case0"]


def test_a_collision_of_folder_names_is_seen(tmp_path, caplog):
    first = open_cache(tmp_path, {"version": 1}, ["case0"], lambda name: {"image": np.zeros(2)})
    other_folder = open_cache(tmp_path, KEY, [], arrays_of).folder
    shutil.copytree(first.folder, other_folder, dirs_exist_ok=True)
    assert_intact(open_cache(tmp_path, KEY, ["case0"], arrays_of), ["case0"])
    assert "manifest.json is of another key" in caplog.text


def truncate(entry):
    path = entry / "image.npy"
    os.truncate(path, path.stat().st_size - 1)


def flip_bit_of_data(entry):
    flip(entry / "image.npy", -7)


def flip_bit_of_header(entry):
    flip(entry / "image.npy", 20)


def flip(path, position, bit=1):
    content = bytearray(path.read_bytes())
    content[position] ^= bit
    path.write_bytes(content)


def lose_array(entry):
    (entry / "label.npy").unlink()


def lose_manifest(entry):
    (entry / "manifest.json").unlink()


def empty_manifest(entry):
    (entry / "manifest.json").write_bytes(b"")


def foreign_manifest(entry):
    (entry / "manifest.json").write_text('{"key": 3, "files": [1]}')


def empty_folder(entry):
    shutil.rmtree(entry)
    entry.mkdir()


def change_key(entry):
    manifest = entry / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 2'))


def append(entry):
    with (entry / "image.npy").open("ab") as file:
        file.write(b"0")


SEEN_BY_SIZE = [
    truncate,
    append,
    lose_array,
    lose_manifest,
    empty_manifest,
    foreign_manifest,
    empty_folder,
    change_key,
]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("damage", "verify"),
    [(damage, "sha256") for damage in [*SEEN_BY_SIZE, flip_bit_of_data, flip_bit_of_header]]
    + [(d, "size") for d in SEEN_BY_SIZE],
)
def test_a_damaged_entry_is_named_and_built_again(tmp_path, caplog, damage, verify, record_fault):
    builder = Builder()
    entry = open_cache(tmp_path, KEY, NAMES, builder).folder / "case1"
    damage(entry)
    builder.names.clear()
    assert_intact(open_cache(tmp_path, KEY, NAMES, builder, verify=verify))
    assert builder.names == ["case1"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(entry) in record.message
    assert temporaries(tmp_path) == []
    assert_intact(open_cache(tmp_path, KEY, NAMES, builder, verify="sha256"))
    assert builder.names == ["case1"]
    what = damage.__name__.replace("_", " ")
    said = record.message.split(": ")[-1]
    record_fault(f"11 cache entry: {what} (verify {verify})", f"'{said}'; built once more, then intact")


def test_a_damaged_header_changes_nothing_where_only_sizes_are_asked_for(tmp_path):
    flip_bit_of_header(open_cache(tmp_path, KEY, NAMES, arrays_of).folder / "case1")
    assert_intact(open_cache(tmp_path, KEY, NAMES, arrays_of, verify="size"))


def test_a_flipped_bit_of_data_passes_where_only_sizes_are_asked_for(tmp_path):
    flip_bit_of_data(open_cache(tmp_path, KEY, NAMES, arrays_of).folder / "case1")
    cache = open_cache(tmp_path, KEY, NAMES, Builder(), verify="size")
    assert np.sum(cache["case1"]["image"] != arrays_of("case1")["image"]) == 1


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_flipped_bit_changes_what_is_read(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "flipped"
    entry = open_cache(folder, KEY, ["case0"], arrays_of).folder / "case0"
    path = data.draw(st.sampled_from(sorted(entry.iterdir())))
    position = data.draw(st.integers(0, path.stat().st_size - 1))
    flip(path, position, 1 << data.draw(st.integers(0, 7)))
    builder = Builder()
    assert_intact(open_cache(folder, KEY, ["case0"], builder), ["case0"])
    if path.suffix == ".npy":
        assert builder.names == ["case0"]


KILLED = """
import os, signal, sys
import numpy as np
from data_pipelines.cache import open_cache

class Arrays(dict):
    def items(self):
        yield "image", np.zeros((64, 64))
        os.kill(os.getpid(), signal.SIGKILL)

open_cache(sys.argv[1], {"version": 1}, ["case0"], lambda name: Arrays(image=0))
"""


@pytest.mark.faults
def test_a_killed_builder_leaves_nothing_that_counts(tmp_path, caplog, record_fault):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (leftover,) = temporaries(tmp_path)
    assert (leftover / "image.npy").exists()
    cache = open_cache(tmp_path, {"version": 1}, ["case0"], arrays_of)
    assert_intact(cache, ["case0"])
    assert not caplog.records
    # It may be another process's work until it has lain for a day.
    assert temporaries(tmp_path) == [leftover]
    yesterday = time.time() - 25 * 3600
    os.utime(leftover, (yesterday, yesterday))
    open_cache(tmp_path, {"version": 1}, ["case0"], arrays_of)
    assert temporaries(tmp_path) == []
    record_fault("11 SIGKILL in the middle of writing a cache entry", "half an entry never counts")


def test_a_failing_build_is_named_and_the_rest_is_kept(tmp_path):
    def build(name):
        if name == "case1":
            raise OSError("case1.nii.gz:\ntruncated")
        return arrays_of(name)

    with pytest.raises(
        BuildError, match=r"^cache entry 'case1': OSError: case1.nii.gz: truncated$"
    ) as caught:
        open_cache(tmp_path, KEY, ["case0", "case1"], build, num_threads=1)
    assert caught.value.name == "case1"
    assert isinstance(caught.value.__cause__, OSError)
    assert temporaries(tmp_path) == []
    builder = Builder()
    assert_intact(open_cache(tmp_path, KEY, ["case0", "case1"], builder), ["case0", "case1"])
    assert builder.names == ["case1"]


def test_a_source_is_opened_with_its_progress_and_only_named_cases_are_left_out(tmp_path, capsys):
    def build(name):
        if name == "case1":
            raise ReadError(Path(name), "nothing", "a volume")
        return arrays_of(name)

    source = SimpleNamespace(key=KEY, build=build)
    cache = open_source(tmp_path, source, NAMES, ["case0", "case1"], 1, label="drawing")
    assert_intact(cache, ["case0", "case 2+b"])
    assert list(cache.left_out) == ["case1"]
    assert "drawing: 3/3" in capsys.readouterr().err
    with pytest.raises(BuildError, match="case1"):
        open_source(tmp_path, source, NAMES, ["case0"], 1)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "found no arrays"),
        ({"image": np.array([None])}, r"image.npy has dtype object; wanted numbers"),
        ({"../image": np.zeros(1)}, r"name is '../image'; wanted one without slashes"),
    ],
)
def test_what_cannot_be_stored_is_refused(tmp_path, arrays, message):
    with pytest.raises(BuildError, match=f"cache entry 'case0': .*{message}"):
        open_cache(tmp_path, KEY, ["case0"], lambda name: arrays)
    assert temporaries(tmp_path) == []


BUILDING = """
import sys, time
import numpy as np
from data_pipelines.cache import open_cache

def build(name):
    time.sleep(0.02)
    return {"image": np.full((64, 64), int(name))}

time.sleep(max(0, float(sys.argv[2]) - time.time()))
cache = open_cache(sys.argv[1], {"version": 1}, [str(n) for n in range(10)], build)
print(sum(int(cache[name]["image"][-1, -1]) for name in cache))
"""


def test_processes_that_build_at_the_same_time_agree(tmp_path):
    start = str(time.time() + 1)
    command = [sys.executable, "-c", BUILDING, tmp_path, start]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert outputs == [(b"45\n", b"")] * 3
    assert temporaries(tmp_path) == []


def test_openings_at_the_same_time_repair_the_same_damage(tmp_path):
    for _ in range(5):
        entry = open_cache(tmp_path, KEY, NAMES, arrays_of).folder / "case1"
        flip_bit_of_data(entry)
        with ThreadPoolExecutor(4) as pool:
            openings = [pool.submit(open_cache, tmp_path, KEY, NAMES, arrays_of) for _ in range(4)]
        for opening in openings:
            assert_intact(opening.result())
    assert temporaries(tmp_path) == []


MANY = """
import resource, sys
import numpy as np
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from data_pipelines.cache import open_cache
names = [str(n) for n in range(100)]
cache = open_cache(sys.argv[1], {"version": 1}, names, lambda name: {"image": np.full(3, int(name))})
print(sum(int(cache[name]["image"][0]) for name in names + names))
"""


def test_more_entries_than_file_descriptors_can_be_read(tmp_path):
    done = subprocess.run([sys.executable, "-c", MANY, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.stdout == "9900\n", done.stderr


def open_files(folder):
    """Of this process, below a folder."""
    links = Path("/proc/self/fd").iterdir()
    return sum(os.path.realpath(link).startswith(f"{folder}/") for link in links)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's list of open files")
def test_a_cache_that_nobody_has_keeps_no_file_open(tmp_path):
    """Many runs in one process would run out of descriptors before the garbage collector comes by."""
    gc.collect()
    gc.disable()
    try:
        cache = open_cache(tmp_path, KEY, NAMES, arrays_of)
        assert_intact(cache)
        assert open_files(tmp_path) > 0
        del cache
        assert open_files(tmp_path) == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", ".hidden", "a\0b"])
def test_names_that_are_no_file_names_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="wanted one without slashes"):
        open_cache(tmp_path, KEY, [name], arrays_of)


def test_bad_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="names has case0 more than once"):
        open_cache(tmp_path, KEY, ["case0", "case1", "case0"], arrays_of)
    with pytest.raises(ValueError, match="key is not JSON"):
        open_cache(tmp_path, {"spacing": np.ones(3)}, NAMES, arrays_of)
    with pytest.raises(ValueError, match="key is not JSON"):
        open_cache(tmp_path, {"spacing": float("nan")}, NAMES, arrays_of)


def test_fingerprint_follows_names_sizes_and_times_but_not_the_place(tmp_path):
    files = [tmp_path / "a" / "scan.nii", tmp_path / "a" / "sub" / "mask.nii"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"1234")
        os.utime(file, (1000, 1000))
    first = fingerprint(files)
    assert fingerprint(reversed([*files, files[0]])) == first
    moved = shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert fingerprint([moved / "scan.nii", moved / "sub" / "mask.nii"]) == first

    os.utime(files[0], (1001, 1001))
    later = fingerprint(files)
    files[0].write_bytes(b"12345")
    os.utime(files[0], (1000, 1000))
    longer = fingerprint(files)
    files[0].rename(tmp_path / "a" / "other.nii")
    renamed = fingerprint([tmp_path / "a" / "other.nii", files[1]])
    assert len({first, later, longer, renamed}) == 4


def test_fingerprint_of_nothing_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="paths is empty"):
        fingerprint([])
    with pytest.raises(FileNotFoundError, match=r"absent\.nii"):
        fingerprint([tmp_path / "absent.nii"])
