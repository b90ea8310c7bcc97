"""Runs the stream of examples in plain Python threads."""

import itertools
from collections import deque
from collections.abc import Callable, Generator, Mapping

import numpy as np

from data_pipelines.executors.batch_filler import BatchFiller


def run(
    fetch: Callable[[int], Mapping[str, np.ndarray]],
    spec: Mapping[str, tuple[tuple[int, ...], np.dtype]],
    *,
    batch_size: int,
    first_batch: int,
    num_batches: int | None,
    num_threads: int,
    prefetch: int,
) -> Generator[dict[str, np.ndarray], None, None]:
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
        Read-only arrays of `batch_size` stacked examples. Their memory holds another batch later, but not
        before nothing refers to it any more: neither they, nor a view of them, nor a device's array.

    Raises:
        BaseException: what `fetch` raised for the earliest example that failed.
    """
    numbers = itertools.islice(itertools.count(first_batch), num_batches)
    filler = BatchFiller(fetch, spec, batch_size, num_threads, prefetch=prefetch)
    try:
        pending = deque(filler.begin(number) for number in itertools.islice(numbers, prefetch + 1))
        while pending:
            yield filler.finish(pending.popleft())
            pending.extend(filler.begin(number) for number in itertools.islice(numbers, 1))
    finally:
        filler.close()
