import subprocess
import sys
import time

import pytest

from jaxmed.train import watchdog

STALLING = """
import time
from jaxmed.train import watchdog
watch = watchdog.Watchdog(1.0)
for step in range(1, 4):
    watch(step, None, {})
    time.sleep(0.3)
def wait_for_a_peer():
    time.sleep(1000)
wait_for_a_peer()
"""


@pytest.mark.faults
def test_stalled_process_ends_and_says_where(record_fault):
    begun = time.monotonic()
    result = subprocess.run([sys.executable, "-c", STALLING], capture_output=True, text=True, timeout=60)
    assert result.returncode == watchdog.EXIT_CODE
    assert "no step finished in 1 s after step 3" in result.stderr
    assert "in wait_for_a_peer" in result.stderr
    assert time.monotonic() - begun < 50
    record_fault("10 a process waits for ever", result.stderr.splitlines()[0].removeprefix("error: "))


def test_steps_and_close_keep_it_quiet():
    watch = watchdog.Watchdog(0.4)
    for step in range(4):
        time.sleep(0.2)
        watch(step, None, {})
    watch.close()
    time.sleep(0.6)
