import os
import subprocess
import sys

import pytest

from experiments.verbs import lock
from experiments.verbs.errors import UserError

HOLDING = """
import sys, time
from pathlib import Path
from experiments.verbs import lock
with lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLDING, str(tmp_path / "seed0")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.faults
def test_second_run_in_a_folder_is_refused(holder, tmp_path, record_fault):
    with pytest.raises(UserError) as caught, lock.hold(tmp_path / "seed0"):
        pytest.fail("two held the lock")
    assert f"in use by process {holder.pid}" in str(caught.value)
    record_fault(
        "11 two runs in one output folder", "the second is refused, and told the first one's process"
    )


@pytest.mark.faults
def test_lock_ends_with_a_killed_process(holder, tmp_path, record_fault):
    holder.kill()
    holder.wait()
    with lock.hold(tmp_path / "seed0"):
        text = (tmp_path / ".seed0.lock").read_text()
    assert text.startswith(f"process {os.getpid()} on ")
    record_fault("11 a run that held the lock was killed", "the next one gets the lock")


def test_folders_have_locks_of_their_own_that_survive_a_renaming(tmp_path):
    (tmp_path / "seed0").mkdir()
    with lock.hold(tmp_path / "seed0"), lock.hold(tmp_path / "seed1"):
        (tmp_path / "seed0").rename(tmp_path / "seed0-old1")
        with pytest.raises(UserError), lock.hold(tmp_path / "seed0"):
            pytest.fail("two held the lock")
    with lock.hold(tmp_path / "seed0"):
        pass


def test_file_system_without_locks_is_said_and_does_not_hinder(tmp_path, monkeypatch, capsys):
    def refuse(*arguments):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with lock.hold(tmp_path / "seed0"):
        assert "warning: no lock" in capsys.readouterr().err


@pytest.mark.faults
def test_place_that_cannot_be_written_is_said_in_one_line(tmp_path, record_fault):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError) as caught, lock.hold(tmp_path / "runs" / "paper" / "seed0"):
        pytest.fail("held a lock that is nowhere")
    said = str(caught.value)
    assert "Not a directory; wanted a --workdir that can be written" in said
    assert "\n" not in said
    record_fault("3 --workdir below a file", said.replace(str(tmp_path), "..."))
