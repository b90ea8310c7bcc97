"""Saves that do not come to their end: killed processes and full disks."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.train import manifest, mesh
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.train.checkpoint_errors import DiskError

_PROLOGUE = """
import os, resource, shutil, signal, sys, time
from pathlib import Path
import jax, jax.numpy as jnp
from jaxmed.train import manifest, mesh
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.train.checkpoint_errors import CheckpointError

def make_state(step, size):
    return {"step": jnp.asarray(step, jnp.int32), "kernel": jnp.arange(size, dtype=jnp.float32) + step}

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

directory = Path(sys.argv[1])
"""

_KILLED = """
def save_and_die(directory, moment, size):
    checkpoints = Checkpoints(directory, max_to_keep=1)
    checkpoints.save(10, make_state(10, size))
    checkpoints.wait()
    state = jax.block_until_ready(make_state(20, size))
    if moment == "before the manifest":
        manifest.write = die
    elif moment == "before the manifest has its name":
        Path.replace = die
    elif moment == "while the step before is deleted":
        shutil.rmtree = lambda path, **_: (next(path.rglob("*.ocdbt")).unlink(), die())
    checkpoints.save(20, state)
    while moment == "while arrays are written":
        if any(path.stat().st_size > 2**20 for path in directory.glob("20.*/**/d/*")):
            die()
    checkpoints.wait()

# Processes of their own, which all import once.
for moment, size in zip(sys.argv[2::2], map(int, sys.argv[3::2])):
    if not (child := os.fork()):
        save_and_die(directory / moment, moment, size)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

_LIMITED = """
checkpoints = Checkpoints(directory)
checkpoints.save(10, make_state(10, 2**18))
checkpoints.wait()
resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, resource.RLIM_INFINITY))
checkpoints.save(20, make_state(20, 2**18))
try:
    checkpoints.wait()
except CheckpointError as error:
    print(f"{type(error).__name__} {error}")
print(checkpoints.latest_step(), sorted(path.name for path in directory.iterdir()))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
checkpoints.save(30, make_state(30, 2**18))
checkpoints.close()
"""


def make_state(step, size):
    return {"step": jnp.asarray(step, jnp.int32), "kernel": jnp.arange(size, dtype=jnp.float32) + step}


def run(script, *arguments):
    command = [sys.executable, "-c", _PROLOGUE + script, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def check_latest(directory, step, size):
    with Checkpoints(directory) as checkpoints:
        assert checkpoints.latest_step() == step
        restored = checkpoints.restore(make_state(0, size), mesh.make_mesh(1))
    jax.tree.map(np.testing.assert_array_equal, restored, make_state(step, size))


MOMENTS = {
    "while arrays are written": 2**24,
    "before the manifest": 2**10,
    "before the manifest has its name": 2**10,
    "while the step before is deleted": 2**10,
}
"""The size of the state with which a process is killed at each moment."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A folder with the checkpoints of a process killed at each moment."""
    folder = tmp_path_factory.mktemp("killed")
    ended = run(_KILLED, folder, *(word for moment in MOMENTS.items() for word in moment))
    assert ended.stdout.split() == [str(-signal.SIGKILL)] * len(MOMENTS), ended.stderr
    return folder


@pytest.mark.faults
@pytest.mark.parametrize(
    ("moment", "step", "left"),
    [
        ("while arrays are written", 10, "20.orbax-checkpoint-tmp"),
        ("before the manifest", 10, "20"),
        ("before the manifest has its name", 10, "20/.manifest.json"),
        ("while the step before is deleted", 20, ".deleted-10"),
    ],
)
def test_process_killed_in_the_middle_of_a_save(killed, capfd, record_fault, moment, step, left):
    """Only one checkpoint is kept, so that one deleted too early would be missed."""
    folder = killed / moment
    assert (folder / left).exists()
    check_latest(folder, step, MOMENTS[moment])
    said = capfd.readouterr().err
    lacks_manifest = left.startswith("20") and not left.endswith("tmp")
    assert said.endswith("the last good one is step 10\n") if lacks_manifest else said == ""
    names = {path.name for path in folder.iterdir()}
    assert names == ({str(step), "damaged"} if lacks_manifest else {str(step)})
    record_fault(f"2 SIGKILL during a save, {moment}", f"resumed from step {step}, values equal")


@pytest.mark.faults
def test_disk_full_during_a_save(tmp_path, record_fault):
    """The system refuses to let files grow, as it does on a full disk."""
    ended = run(_LIMITED, tmp_path)
    assert ended.returncode == 0, ended.stderr
    error, rest = ended.stdout.splitlines()
    assert error.startswith(f"DiskError step 20 could not be saved to {tmp_path}: ")
    assert error.endswith("; checkpoints saved before are untouched")
    assert rest == "10 ['10']"
    check_latest(tmp_path, 30, 2**18)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "30"]
    record_fault(
        "3 files cannot grow during a save", f"{error[:36]}...; step 10 verifies, step 30 saved later"
    )


@pytest.mark.faults
def test_disk_full_at_the_manifest(tmp_path, monkeypatch, record_fault):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Checkpoints(tmp_path, max_to_keep=1) as checkpoints:
        checkpoints.save(10, make_state(10, 8))
        checkpoints.wait()
        with monkeypatch.context() as patch:
            patch.setattr(manifest.os, "fsync", fail)
            checkpoints.save(20, make_state(20, 8))
            with pytest.raises(DiskError, match="No space left on device; checkpoints saved before are"):
                checkpoints.wait()
        assert [path.name for path in tmp_path.iterdir()] == ["10"]
        assert checkpoints.latest_step() == 10
        checkpoints.save(30, make_state(30, 8))
    check_latest(tmp_path, 30, 8)
    record_fault(
        "3 disk full when the manifest is written", "error at wait, step 10 whole, step 30 saved later"
    )


@pytest.mark.faults
@pytest.mark.parametrize("call", ["save", "close", "latest_step"])
def test_error_of_a_save_appears_at_the_next_call(tmp_path, monkeypatch, record_fault, call):
    checkpoints = Checkpoints(tmp_path)
    monkeypatch.setattr(manifest, "write", lambda *_: json.loads("broken"))
    checkpoints.save(1, make_state(1, 8))
    calls = {
        "save": lambda: checkpoints.save(2, make_state(2, 8)),
        "close": checkpoints.close,
        "latest_step": checkpoints.latest_step,
    }
    with pytest.raises(DiskError, match="step 1 could not be saved") as error:
        calls[call]()
    assert "\n" not in str(error.value)
    checkpoints.close()
    record_fault("3 background save fails", f"one line at the next {call}")


@pytest.mark.faults
def test_folder_that_vanishes_during_the_run(tmp_path, record_fault):
    directory = tmp_path / "checkpoints"
    with Checkpoints(directory) as checkpoints:
        checkpoints.save(1, make_state(1, 8))
        checkpoints.wait()
        shutil.rmtree(directory)
        directory.write_text("in the way")
        with pytest.raises(DiskError, match="step 2 could not be saved"):
            checkpoints.save(2, make_state(2, 8))
            checkpoints.wait()
    record_fault("3 checkpoint folder replaced during the run", "DiskError in one line")


@pytest.mark.faults
def test_folder_that_cannot_be_made(tmp_path, record_fault):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"cannot be written to .*: Not a directory"):
        Checkpoints(tmp_path / "file" / "checkpoints")
    record_fault("3 checkpoint folder below a file", "DiskError at the start")
