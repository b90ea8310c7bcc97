"""Runs the stream of examples in tf.data; the one file of the pipeline that imports TensorFlow."""

import atexit
import contextlib
import functools
import os
import threading
import weakref
from collections.abc import Callable, Generator, Mapping
from types import ModuleType

import numpy as np

from data_pipelines.executors.batch_filler import BatchFiller

_Batches = Generator[dict[str, np.ndarray], None, None]
_OPEN: weakref.WeakSet[_Batches] = weakref.WeakSet()
_FAILED = "an example could not be loaded"


@functools.cache
def _tensorflow() -> ModuleType:
    # Its start-up notes, one of which only goes with oneDNN, would drown the progress of the run.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import tensorflow as tf  # pyright: ignore[reportMissingModuleSource]

    # TensorFlow would otherwise take the memory of the GPUs that JAX computes on.
    tf.config.set_visible_devices([], "GPU")
    # An iterator that the dying interpreter destroys waits for threads that the interpreter has stopped.
    atexit.register(_close_all)
    return tf


def _close_all() -> None:
    for batches in list(_OPEN):
        # A generator that another thread is running cannot be closed; nor will it be destroyed.
        with contextlib.suppress(ValueError):
            batches.close()


def run(
    fetch: Callable[[int], Mapping[str, np.ndarray]],
    spec: Mapping[str, tuple[tuple[int, ...], np.dtype]],
    *,
    batch_size: int,
    first_batch: int,
    num_batches: int | None,
    num_threads: int,
    prefetch: int,
) -> _Batches:
    """Batches a stream of examples by range -> map(numpy_function), one call for each batch.

    Arguments, results, errors and what closing does are those of `executors.threads.run`. TensorFlow's
    threads only wait for those of a pool that carry out `fetch` and copy into the batch, which TensorFlow
    then takes as it lies: TensorFlow never ends while one of its own hangs. GPUs are hidden from TensorFlow.

    Args:
        fetch: gives example number i of the stream; called from several threads at once.
        spec: shape and dtype of each array of an example.
        batch_size: examples in a batch.
        first_batch: number of the first batch; batch k holds examples k * batch_size and on.
        num_batches: batches to give, or None for no end.
        num_threads: threads that load.
        prefetch: batches that are loaded ahead.

    Returns:
        A generator of read-only arrays of `batch_size` stacked examples.

    Raises:
        BaseException: what `fetch` raised for the earliest example that failed.
        RuntimeError: TensorFlow had been started with GPUs before.
    """
    batches = _generate(fetch, spec, batch_size, first_batch, num_batches, num_threads, prefetch)
    _OPEN.add(batches)
    return batches


def _generate(fetch, spec, batch_size, first_batch, num_batches, num_threads, prefetch) -> _Batches:
    tf = _tensorflow()
    filler = BatchFiller(fetch, spec, batch_size, num_threads, prefetch=prefetch)
    failures: dict[int, BaseException] = {}
    closing = threading.Event()

    def fill(number: np.ndarray) -> list[np.ndarray]:
        # An exception that crossed TensorFlow would lose its type, its cause and its attributes.
        try:
            return list(filler.finish(filler.begin(int(number))).values())
        except BaseException as error:
            if closing.is_set():
                # Nobody looks at this batch any more, and TensorFlow would print the error.
                return [np.zeros((batch_size, *shape), dtype) for shape, dtype in spec.values()]
            failures[int(number)] = error
            raise RuntimeError(_FAILED) from None

    def fill_tensors(number):
        dtypes = [tf.as_dtype(dtype) for _, dtype in spec.values()]
        tensors = tf.numpy_function(fill, [number], dtypes)
        return {
            name: tf.ensure_shape(tensor, (batch_size, *shape))
            for tensor, (name, (shape, _)) in zip(tensors, spec.items(), strict=True)
        }

    stop = tf.int64.max if num_batches is None else first_batch + num_batches
    # So many batches are under way or ready besides the one handed out.
    dataset = tf.data.Dataset.range(first_batch, stop)
    dataset = dataset.map(fill_tensors, num_parallel_calls=prefetch, deterministic=True)
    options = tf.data.Options()
    options.threading.private_threadpool_size = prefetch + 1
    options.threading.max_intra_op_parallelism = 1
    # The default rewrites run ahead by up to 16 more batches, however large these are.
    options.experimental_optimization.apply_default_optimizations = False
    # In a name of its own, lest it be destroyed, waiting for its threads, before the pool lets these go.
    batches = dataset.with_options(options).as_numpy_iterator()
    try:
        yield from batches
    except tf.errors.OpError:
        if not failures:
            raise
    finally:
        closing.set()
        filler.close()
    if failures:
        raise failures[min(failures)]
