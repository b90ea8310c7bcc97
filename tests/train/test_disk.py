import collections
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxmed.train import disk
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.train.checkpoint_errors import DiskError

_Usage = collections.namedtuple("_Usage", ["total", "used", "free"])
_SHAPES = {
    "step": jax.ShapeDtypeStruct((), jnp.int32),
    "kernel": jax.ShapeDtypeStruct((250, 100), jnp.bfloat16),
}
_BYTES = 4 + 250 * 100 * 2


def test_bytes_of_a_state():
    assert disk.state_bytes(_SHAPES) == _BYTES
    assert disk.state_bytes({}) == 0


def test_checkpoint_takes_little_more_than_its_state(tmp_path):
    state = {"step": jnp.asarray(1), "kernel": jax.random.normal(jax.random.key(0), (512, 512))}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state)
    written = sum(path.stat().st_size for path in (tmp_path / "1").rglob("*") if path.is_file())
    assert disk.state_bytes(state) < written < 1.01 * disk.state_bytes(state) + 10_000


def test_folder_with_space_is_made_and_left_empty(tmp_path):
    disk.check_output(tmp_path / "a" / "b", _SHAPES)
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.faults
@pytest.mark.parametrize("folder", ["file", "file/checkpoints", "/proc/checkpoints", "/proc/self"])
def test_folder_that_cannot_be_written_is_found_before_the_first_step(tmp_path, record_fault, folder):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError) as error:
        disk.check_output(tmp_path / folder, _SHAPES)
    message = str(error.value)
    assert message.startswith(f"checkpoints cannot be written to {tmp_path / folder}: ")
    assert "\n" not in message
    record_fault(f"3 output folder is {folder}", f"found before step 0: {message.rpartition(': ')[2]}")


@pytest.mark.faults
def test_read_only_folder_is_found_by_a_user_without_privileges(tmp_path, record_fault):
    """Root may write anywhere, so that the check runs as another user where the tests run as root."""
    script = """
import os, sys
from pathlib import Path
from jaxmed.train import disk
from jaxmed.train.checkpoint_errors import DiskError
folder = Path(sys.argv[1])
folder.chmod(0o555)
if os.getuid() == 0:
    os.chdir(folder)
    os.setuid(65534)
    folder = Path()
try:
    disk.check_output(folder, {})
except DiskError as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", script, str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    tmp_path.chmod(0o755)
    assert ended.stdout == f"checkpoints cannot be written to {tmp_path}: Permission denied\n", ended.stderr
    record_fault("3 output folder is read-only", "found before step 0: Permission denied")


@pytest.mark.faults
@pytest.mark.parametrize("missing", [0, 1])
def test_disk_too_small_is_found_before_the_first_step(tmp_path, monkeypatch, record_fault, missing):
    needed = 3 * _BYTES
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: _Usage(10**9, 0, needed - missing))
    if not missing:
        disk.check_output(tmp_path, _SHAPES, max_to_keep=2)
        return
    with pytest.raises(DiskError) as error:
        disk.check_output(tmp_path, _SHAPES, max_to_keep=2)
    assert str(error.value) == (
        f"too little space for checkpoints in {tmp_path}: {needed - 1:,} bytes free, {needed:,} bytes needed "
        f"for 3 states of {_BYTES:,} bytes"
    )
    record_fault("3 disk one byte too small for the checkpoints", "found before step 0, both numbers named")


def test_checkpoints_that_are_there_count_and_damaged_ones_do_not(tmp_path, monkeypatch):
    """A run that goes on must not be asked for the space that it takes up already."""
    for name in ("1", "damaged"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(bytes(_BYTES))
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: _Usage(10**9, 0, 2 * _BYTES))
    disk.check_output(tmp_path, _SHAPES, max_to_keep=2)
    with pytest.raises(DiskError):
        disk.check_output(tmp_path, _SHAPES, max_to_keep=3)
    (tmp_path / "1" / "file").write_bytes(bytes(10 * _BYTES))
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: _Usage(10**9, 0, _BYTES - 1))
    with pytest.raises(DiskError):
        disk.check_output(tmp_path, _SHAPES, max_to_keep=2)
