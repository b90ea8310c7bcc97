"""Runs the stream of examples in plain Python threads: decoding and copying release the interpreter lock."""

import itertools
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future

import numpy as np

from data_pipelines.executors.daemon_pool import DaemonPool

_Batch = dict[str, np.ndarray]
_Pending = tuple[_Batch, list[Future[None]]]


def run(
    fetch: Callable[[int], Mapping[str, np.ndarray]],
    spec: Mapping[str, tuple[tuple[int, ...], np.dtype]],
    *,
    batch_size: int,
    first_batch: int,
    num_batches: int | None,
    num_threads: int,
    prefetch: int,
) -> Generator[_Batch, None, None]:
    """Batches a stream of examples, loading up to `prefetch` batches ahead of the one handed out.

    Closing or dropping the generator cancels what has not begun; a call of `fetch` that has begun is
    neither interrupted nor waited for, and its thread ends with it. An interpreter that exits gives such
    calls a few seconds, then leaves them behind.

    Args:
        fetch: gives example number i of the stream; called from several threads at once.
        spec: shape and dtype of each array of an example.
        batch_size: examples in a batch.
        first_batch: number of the first batch; batch k holds examples k * batch_size and on.
        num_batches: batches to give, or None for no end.
        num_threads: threads that load.
        prefetch: batches that are loaded ahead.

    Yields:
        Read-only arrays of `batch_size` stacked examples, newly allocated for every batch.

    Raises:
        BaseException: what `fetch` raised for the earliest example that failed.
    """
    numbers = itertools.islice(itertools.count(first_batch), num_batches)
    pool = DaemonPool(num_threads, "load-example")

    def fill(batch: _Batch, row: int, counter: int) -> None:
        for name, array in fetch(counter).items():
            batch[name][row] = array

    def submit(number: int) -> _Pending:
        batch = {name: np.empty((batch_size, *shape), dtype) for name, (shape, dtype) in spec.items()}
        start = number * batch_size
        return batch, [pool.submit(fill, batch, row, start + row) for row in range(batch_size)]

    try:
        pending = deque(submit(number) for number in itertools.islice(numbers, prefetch + 1))
        while pending:
            yield _collect(*pending.popleft())
            pending.extend(submit(number) for number in itertools.islice(numbers, 1))
    finally:
        pool.close()


def _collect(batch: _Batch, rows: list[Future[None]]) -> _Batch:
    for row in rows:
        row.result()
    for array in batch.values():
        array.flags.writeable = False
    return batch
