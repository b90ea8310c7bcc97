"""From a loader of single examples to the batches of a plan, the same after every restart."""

import contextlib
import importlib.util
import logging
import os
from collections.abc import Callable, Generator
from typing import Literal

import numpy as np

from data_pipelines import index_plan
from data_pipelines.example_stream import Load, LoadError, Stream
from data_pipelines.executors import tf_data, threads

Batches = Generator[dict[str, np.ndarray], None, None]
"""Batches by name of the array; closing or dropping it ends its threads."""

Executor = Literal["auto", "tf", "threads"]


_LOG = logging.getLogger(__name__)


def make_batches(
    load: Load,
    plan: index_plan.IndexPlan,
    *,
    first_step: int = 0,
    num_steps: int | None = None,
    process_index: int = 0,
    process_count: int = 1,
    num_threads: int | None = None,
    prefetch: int = 2,
    executor: Executor = "auto",
    max_bad_cases: int = 0,
) -> Batches:
    """Loads this host's part of the training batches of a plan.

    What comes out depends on the loader, the plan and the step alone: not on the executor, the number of
    threads, or the step that the run began with. Loading starts with the first `next`.

    Args:
        load: loads one example.
        plan: says which example stands where.
        first_step: step of the first batch.
        num_steps: batches to give from there on, or None for no end.
        process_index: number of this host, in [0, process_count).
        process_count: number of hosts; divides the batch size.
        num_threads: threads that load; None for one a usable processor.
        prefetch: batches loaded ahead of the one in use, at least 1.
        executor: "tf" for tf.data, "threads" for Python threads, "auto" for tf.data where TensorFlow is
            installed.
        max_bad_cases: how many different examples of this host's part may be unreadable
            (`errors.is_unreadable_file`). Each is named once in a warning and everywhere replaced by the next
            example of the data set that can be read, with the same random draws; a line at the end lists all.

    Returns:
        A generator of '(batch_size / process_count, *shape)' read-only arrays under the loader's names. Close
        it, or drop it, to end its threads; an open one is closed when the program ends.

    Raises:
        ValueError: a number is out of range.
        LoadError: (by the generator) an example failed, or differs from the first in names, shape or dtype,
            or there are more than `max_bad_cases`.
    """
    part = plan.host_slice(process_index, process_count)
    if first_step < 0:
        raise ValueError(f"first_step is {first_step}; wanted at least 0")
    if num_steps is not None and num_steps < 0:
        raise ValueError(f"num_steps is {num_steps}; wanted at least 0, or None for no end")
    if max_bad_cases < 0:
        raise ValueError(f"max_bad_cases is {max_bad_cases}; wanted at least 0")
    run = _choose(executor, num_threads, prefetch)

    def generate() -> Batches:
        if num_steps != 0:
            stream = Stream(
                load, plan.index, plan.generator, part, first_step, plan.num_examples, max_bad_cases
            )
            yield from _settled(run(stream, first_step, num_steps), stream, first_step)

    return generate()


def _settled(loaded: Batches, stream: Stream, first_step: int) -> Batches:
    try:
        with contextlib.closing(loaded):
            for step, batch in enumerate(loaded, first_step):
                stream.settle(step)
                yield batch
                # Else its memory could not take the next one.
                del batch
    finally:
        if stream.left_out:
            _LOG.warning(
                "%d examples could not be read and were replaced by others: %s",
                len(stream.left_out),
                ", ".join(map(str, stream.left_out)),
            )


def make_evaluation_batches(
    load: Load,
    num_examples: int,
    batch_size: int,
    *,
    process_index: int = 0,
    process_count: int = 1,
    num_threads: int | None = None,
    prefetch: int = 2,
    executor: Executor = "auto",
) -> Batches:
    """Loads this host's part of the evaluation batches: every example once, in order, with its weight.

    The generator that the loader receives depends on the index of the example alone. No example is ever
    left out.

    Args:
        load: loads one example; must not give an array called weight.
        num_examples: size of the data set.
        batch_size: examples in the batch of all hosts.
        process_index: as in `make_batches`.
        process_count: as in `make_batches`.
        num_threads: as in `make_batches`.
        prefetch: as in `make_batches`.
        executor: as in `make_batches`.

    Returns:
        A generator of the loader's arrays and `weight`, '(batch_size / process_count,)' float32: 1, or 0 for
        the repetitions of the last example that fill the last batch.

    Raises:
        ValueError: a number is out of range.
        LoadError: as in `make_batches`; (by the generator) also where the loader gives an array `weight`.
    """
    part = index_plan.host_slice(batch_size, process_index, process_count)
    batches = list(index_plan.evaluation_batches(num_examples, batch_size))
    run = _choose(executor, num_threads, prefetch)

    def index(step: int, position: int) -> int:
        return int(batches[step][0][position])

    def generator(step: int, position: int) -> np.random.Generator:
        return index_plan.example_generator(0, index(step, position))

    def generate() -> Batches:
        stream = Stream(load, index, generator, part, 0, num_examples)
        if "weight" in stream.spec:
            raise LoadError(
                index(0, part.start), 0, "the loader gave 'weight', the name of the padding weights"
            )
        with contextlib.closing(run(stream, 0, len(batches))) as loaded:
            for (_, weights), batch in zip(batches, loaded, strict=True):
                yield {**batch, "weight": weights[part]}

    return generate()


def _choose(executor: Executor, num_threads: int | None, prefetch: int) -> Callable[..., Batches]:
    if num_threads is None:
        num_threads = len(os.sched_getaffinity(0))
    for name, value in (("num_threads", num_threads), ("prefetch", prefetch)):
        if value < 1:
            raise ValueError(f"{name} is {value}; wanted at least 1")
    if executor == "auto":
        executor = "tf" if importlib.util.find_spec("tensorflow") else "threads"
    runs = {"tf": tf_data.run, "threads": threads.run}
    if executor not in runs:
        raise ValueError(f"executor is '{executor}'; wanted auto, tf or threads")

    def run(stream: Stream, first_step: int, num_steps: int | None) -> Batches:
        return runs[executor](
            stream.fetch,
            stream.spec,
            batch_size=stream.batch_size,
            first_batch=first_step,
            num_batches=num_steps,
            num_threads=num_threads,
            prefetch=prefetch,
        )

    return run
