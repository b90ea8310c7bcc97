"""Fills batches example by example in threads: decoding and copying release the interpreter lock."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import NamedTuple

import numpy as np

from data_pipelines.executors.batch_memory import BatchMemory, Spec
from data_pipelines.executors.daemon_pool import DaemonPool


class Pending(NamedTuple):
    """Attributes: arrays, of the batch; rows, one future for each example that is copied into them."""

    arrays: dict[str, np.ndarray]
    rows: list[Future[None]]


class BatchFiller:
    """Copies examples into the arrays of their batch, each once, in a pool of threads.

    Args:
        fetch: gives example number i of the stream; called from several threads at once.
        spec: shape and dtype of each array of an example.
        batch_size: examples in a batch; batch k holds examples k * batch_size and on.
        num_threads: threads that load.
        max_idle: batches whose memory is kept for the next ones.
    """

    def __init__(
        self,
        fetch: Callable[[int], Mapping[str, np.ndarray]],
        spec: Spec,
        batch_size: int,
        num_threads: int,
        max_idle: int,
    ):
        self._fetch, self._batch_size = fetch, batch_size
        self._memory = BatchMemory(spec, batch_size, max_idle)
        self._pool = DaemonPool(num_threads, "load-example")

    def begin(self, number: int) -> Pending:
        """Begins to fill batch `number`.

        Raises:
            PoolClosedError: the filler is closed.
        """
        arrays, start = self._memory.take(), number * self._batch_size
        rows = [self._pool.submit(self._fill, arrays, row, start + row) for row in range(self._batch_size)]
        return Pending(arrays, rows)

    def finish(self, pending: Pending) -> dict[str, np.ndarray]:
        """Waits for a batch; its arrays are read-only from then on.

        Raises:
            BaseException: what `fetch` raised for the earliest example that failed.
        """
        # Not one by one: every time this thread wakes up it takes the lock from those that load.
        wait(pending.rows, return_when=FIRST_EXCEPTION)
        for row in pending.rows:
            row.result()
        for array in pending.arrays.values():
            array.flags.writeable = False
        return pending.arrays

    def close(self) -> None:
        """Cancels what has not begun; what has is neither interrupted nor waited for."""
        self._pool.close()

    def _fill(self, arrays: dict[str, np.ndarray], row: int, counter: int) -> None:
        for name, array in self._fetch(counter).items():
            arrays[name][row] = array
