"""Runs the stream of examples in tf.data; the one file of the pipeline that imports TensorFlow."""

import atexit
import contextlib
import functools
import os
import weakref
from collections.abc import Callable, Generator, Mapping
from types import ModuleType

import numpy as np

from data_pipelines.executors.daemon_pool import DaemonPool

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
    """Batches a stream of examples by range -> map(numpy_function) -> batch -> prefetch.

    Arguments, results, errors and what closing does are those of `executors.threads.run`. TensorFlow's
    threads only wait for those of a pool that carry out `fetch`: TensorFlow never ends while one of its own
    hangs. GPUs are hidden from TensorFlow.

    Args:
        fetch: gives example number i of the stream; called from several threads at once.
        spec: shape and dtype of each array of an example.
        batch_size: examples in a batch.
        first_batch: number of the first batch; batch k holds examples k * batch_size and on.
        num_batches: batches to give, or None for no end.
        num_threads: threads that load.
        prefetch: batches that are loaded ahead.

    Returns:
        A generator of read-only arrays of `batch_size` stacked examples, newly allocated for every batch.

    Raises:
        BaseException: what `fetch` raised for the earliest example that failed.
        RuntimeError: TensorFlow had been started with GPUs before.
    """
    batches = _generate(fetch, spec, batch_size, first_batch, num_batches, num_threads, prefetch)
    _OPEN.add(batches)
    return batches


def _generate(fetch, spec, batch_size, first_batch, num_batches, num_threads, prefetch) -> _Batches:
    tf = _tensorflow()
    pool = DaemonPool(num_threads, "load-example")
    failures: dict[int, BaseException] = {}

    def fetch_list(counter: np.ndarray) -> list[np.ndarray]:
        # An exception that crossed TensorFlow would lose its type, its cause and its attributes.
        try:
            example = pool.submit(fetch, int(counter)).result()
            return [np.asarray(example[name], dtype, order="C") for name, (_, dtype) in spec.items()]
        except BaseException as error:
            failures[int(counter)] = error
            raise RuntimeError(_FAILED) from None

    def fetch_tensors(counter):
        dtypes = [tf.as_dtype(dtype) for _, dtype in spec.values()]
        tensors = tf.numpy_function(fetch_list, [counter], dtypes)
        return {
            name: tf.ensure_shape(tensor, spec[name][0]) for name, tensor in zip(spec, tensors, strict=True)
        }

    stop = tf.int64.max if num_batches is None else (first_batch + num_batches) * batch_size
    dataset = tf.data.Dataset.range(first_batch * batch_size, stop)
    dataset = dataset.map(fetch_tensors, num_parallel_calls=num_threads, deterministic=True)
    dataset = dataset.batch(batch_size, drop_remainder=True).prefetch(prefetch)
    options = tf.data.Options()
    options.threading.private_threadpool_size = num_threads
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
        pool.close()
    if failures:
        raise failures[min(failures)]
