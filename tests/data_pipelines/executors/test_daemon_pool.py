import subprocess
import sys
import threading
import time
from concurrent.futures import wait

import pytest

from data_pipelines.executors.daemon_pool import DaemonPool, PoolClosedError


def test_calls_come_back_with_their_results_and_errors():
    pool = DaemonPool(3, "test")
    futures = [pool.submit(divmod, number, number - 5) for number in range(9)]
    with pytest.raises(ZeroDivisionError):
        futures[5].result(10)
    assert [f.result(10) for n, f in enumerate(futures) if n != 5] == [
        divmod(number, number - 5) for number in range(9) if number != 5
    ]
    pool.close()


def test_closing_cancels_waits_for_nothing_and_ends_the_threads():
    before = threading.active_count()
    pool, release, begun = DaemonPool(1, "test"), threading.Event(), threading.Event()

    def hang():
        begun.set()
        release.wait(60)

    running, waiting = pool.submit(hang), pool.submit(int)
    assert begun.wait(10)
    start = time.monotonic()
    pool.close()
    pool.close()
    assert time.monotonic() - start < 1
    assert waiting.cancelled()
    assert not wait([running, waiting], 1).not_done
    with pytest.raises(PoolClosedError):
        running.result(1)
    with pytest.raises(PoolClosedError):
        pool.submit(int)
    release.set()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


@pytest.mark.parametrize(("seconds", "said"), [(0.3, "done"), (600, "")])
def test_a_process_that_ends_gives_calls_a_few_seconds(seconds, said):
    program = f"""
import time
from data_pipelines.executors.daemon_pool import DaemonPool

def work():
    time.sleep({seconds})
    print("done", flush=True)

DaemonPool(2, "test").submit(work)
time.sleep(0.1)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, said, "")
