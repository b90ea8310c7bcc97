"""Fills batches example by example in threads: decoding and copying release the interpreter lock."""

import itertools
import math
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import NamedTuple

import numpy as np

from data_pipelines.executors.batch_memory import BatchMemory, Spec
from data_pipelines.executors.daemon_pool import DaemonPool, PoolClosedError


class Pending(NamedTuple):
    """Attributes: arrays, of the batch; parts, one future for each run of examples copied into them."""

    arrays: dict[str, np.ndarray]
    parts: list[Future[None]]


class BatchFiller:
    """Copies examples into the arrays of their batch, each once, in a pool of threads.

    A batch is cut into as few parts as keep all threads at work: handing over between threads takes longer
    than copying a small patch.

    Args:
        fetch: gives example number i of the stream; called from several threads at once.
        spec: shape and dtype of each array of an example.
        batch_size: examples in a batch; batch k holds examples k * batch_size and on.
        num_threads: threads that load.
        prefetch: batches that are loaded ahead of the one handed out.
    """

    def __init__(
        self,
        fetch: Callable[[int], Mapping[str, np.ndarray]],
        spec: Spec,
        batch_size: int,
        num_threads: int,
        prefetch: int,
    ):
        self._fetch, self._batch_size = fetch, batch_size
        num_parts = min(batch_size, math.ceil(num_threads / prefetch))
        bounds = [batch_size * part // num_parts for part in range(num_parts + 1)]
        self._parts = [range(*pair) for pair in itertools.pairwise(bounds)]
        self._memory = BatchMemory(spec, batch_size, max_idle=prefetch)
        self._pool = DaemonPool(num_threads, "load-example")

    def begin(self, number: int) -> Pending:
        """Begins to fill batch `number`.

        Raises:
            PoolClosedError: the filler is closed.
        """
        arrays, start = self._memory.take(), number * self._batch_size
        return Pending(arrays, [self._pool.submit(self._fill, arrays, rows, start) for rows in self._parts])

    def finish(self, pending: Pending) -> dict[str, np.ndarray]:
        """Waits for a batch; its arrays are read-only from then on.

        Raises:
            BaseException: what `fetch` raised for the earliest example that failed.
        """
        # Not one by one: every time this thread wakes up it takes the lock from those that load.
        wait(pending.parts, return_when=FIRST_EXCEPTION)
        for part in pending.parts:
            part.result()
        for array in pending.arrays.values():
            array.flags.writeable = False
        return pending.arrays

    def close(self) -> None:
        """Cancels what has not begun; a call of `fetch` that has is neither interrupted nor waited for."""
        # TensorFlow keeps its functions, and with them this filler, for as long as the process lives: what
        # the stream reads from must not stay open with it.
        self._fetch = _refuse
        self._pool.close()

    def _fill(self, arrays: dict[str, np.ndarray], rows: range, start: int) -> None:
        for row in rows:
            for name, array in self._fetch(start + row).items():
                arrays[name][row] = array


def _refuse(number: int) -> Mapping[str, np.ndarray]:
    raise PoolClosedError
