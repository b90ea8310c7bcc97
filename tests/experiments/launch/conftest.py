"""Starts the local launcher as its users do, and leaves no process behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LIMIT_SECONDS = 240
"""On a machine busy with other work; a quiet one needs 3 to 8 s for any launch here."""


@dataclass
class Finished:
    """Attributes: exit code; lines of output; seconds from the last line "now ..." to the end of all."""

    code: int
    lines: list[str]
    seconds_after_fault: float

    def of(self, process):
        return [line.removeprefix(f"[{process}] ") for line in self.lines if line.startswith(f"[{process}] ")]


def kill_all(launcher):
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    for process in (*map(int, children), launcher.pid):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)


@contextlib.contextmanager
def start(*options, module, arguments=()):
    command = [
        sys.executable,
        "-m",
        "experiments.launch.local",
        "--module",
        module,
        *options,
        "--",
        *arguments,
    ]
    launcher = subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    alarm = signal.signal(signal.SIGALRM, lambda *_: kill_all(launcher))
    signal.alarm(LIMIT_SECONDS)
    try:
        yield launcher
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)
        if launcher.poll() is None:
            kill_all(launcher)
        launcher.wait()
        launcher.stdout.close()


@pytest.fixture
def started():
    """`with started(*options, module=..., arguments=...) as launcher`: running, its output a stream."""
    return start


@pytest.fixture(scope="module")
def launch():
    """`launch(*options, module=..., arguments=...)` runs the launcher to its end."""

    def run(*options, module, arguments=()):
        with start(*options, module=module, arguments=arguments) as launcher:
            lines, fault_at = [], time.monotonic()
            for line in launcher.stdout:
                lines.append(line.rstrip("\n"))
                if "] now " in line:
                    fault_at = time.monotonic()
            return Finished(launcher.wait(), lines, time.monotonic() - fault_at)

    return run
