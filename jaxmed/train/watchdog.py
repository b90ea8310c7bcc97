"""Ends a process that waits for ever, such as for a peer that has stalled."""

import faulthandler
import os
import sys
import threading
import time
from typing import Any

import jax

EXIT_CODE = 70
"""Exit code of a process that its watchdog has ended (EX_SOFTWARE)."""


class Watchdog:
    """An observer that ends the process when no step has finished for a while.

    A collective that waits for a stalled peer, or a read that hangs, cannot be interrupted from Python; so
    the process says where every thread stands and exits with `EXIT_CODE`. Earlier checkpoints stay.
    """

    def __init__(self, seconds: float):
        """Starts to watch.

        Args:
            seconds: how long a step may take, the first one with its compilation included.
        """
        self._seconds, self._step = seconds, None
        self._last = time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def __call__(self, step: int, state: Any, metrics: dict[str, jax.Array]) -> None:
        """Notes a sign of life."""
        self._step, self._last = step, time.monotonic()

    def close(self) -> None:
        """Stops watching."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(min(1.0, self._seconds / 4)):
            if time.monotonic() - self._last > self._seconds:
                self._end()

    def _end(self) -> None:
        after = "the start" if self._step is None else f"step {self._step}"
        print(
            f"error: no step finished in {self._seconds:g} s after {after}: a peer, a device or the input "
            f"has stalled; the last checkpoint stays, and the same command goes on from it",
            file=sys.stderr,
        )
        faulthandler.dump_traceback(all_threads=True)
        sys.stderr.flush()
        os._exit(EXIT_CODE)
