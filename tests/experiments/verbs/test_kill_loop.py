import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NUM_KILLS = {True: 20, False: 2}


@pytest.mark.faults
def test_run_killed_again_and_again_ends_bit_equal(record_fault, request):
    """`python -m pytest -m faults` kills 20 times, any other run twice; `kill_loop.py` prints the log."""
    num_kills = NUM_KILLS["faults" in request.config.getoption("markexpr")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("XLA_FLAGS")  # one device, optimised code: as users train
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("kill_loop.py")), str(num_kills), "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert sum(line.startswith("kill") and "signal 9" in line for line in lines) == num_kills
    resumed = lines[-2].count("resumed@")
    assert resumed >= num_kills / 2
    set_aside = result.stderr.count("the last good one")
    record_fault(
        f"2 SIGKILL at {num_kills} random moments of one run",
        f"{resumed} starts resumed, {set_aside} found a half-done save; the end is bit-equal",
    )
