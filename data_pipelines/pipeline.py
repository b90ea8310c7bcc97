"""From a loader of single examples to the batches of a plan, the same after every restart."""

import contextlib
import importlib.util
import os
from collections.abc import Callable, Generator, Mapping
from typing import Literal

import numpy as np

from data_pipelines import index_plan
from data_pipelines.executors import tf_data, threads

Load = Callable[[int, np.random.Generator], Mapping[str, np.ndarray]]
"""(index, generator) to the named arrays of one example: the same names, shapes and dtypes every time.

It is called from several threads at once and draws its random numbers from the generator alone. It should
not call `np.load`, which in threads of Python 3.11 fails at random with a SystemError (it parses headers by
`ast`): open arrays before, or through `cache.open_cache`.
"""

Batches = Generator[dict[str, np.ndarray], None, None]
"""Batches by name of the array; closing or dropping it ends its threads."""

Executor = Literal["auto", "tf", "threads"]


class LoadError(RuntimeError):
    """An example could not be loaded (`__cause__` says why), or does not look like the first one.

    Attributes:
        index: the example's index in the data set.
        step: number of the batch that it was loaded for.
    """

    def __init__(self, index: int, step: int, reason: str):
        super().__init__(index, step, reason)
        self.index = index
        self.step = step

    def __str__(self) -> str:
        return f"example {self.index} (step {self.step}): {' '.join(self.args[2].split())}"


class _Stream:
    """One host's stream of examples, numbered from step 0 on; each is checked against the first loaded."""

    def __init__(
        self,
        load: Load,
        index: Callable[[int, int], int],
        generator: Callable[[int, int], np.random.Generator],
        part: slice,
        first_step: int,
    ):
        self._load, self._index, self._generator, self._part = load, index, generator, part
        self.batch_size = part.stop - part.start
        first = first_step * self.batch_size
        self._first_index = self._place(first)[2]
        example = self._load_numbers(first)
        self.spec = {name: _describe(array) for name, array in example.items()}
        self._loaded = {first: example}

    def fetch(self, counter: int) -> dict[str, np.ndarray]:
        example = self._loaded.pop(counter, None)
        if example is not None:
            return example
        example = self._load_numbers(counter)
        found = {name: _describe(array) for name, array in example.items()}
        if found != self.spec:
            step, _, index = self._place(counter)
            raise LoadError(index, step, self._difference(found))
        return example

    def _place(self, counter: int) -> tuple[int, int, int]:
        step, offset = divmod(counter, self.batch_size)
        position = self._part.start + offset
        return step, position, self._index(step, position)

    def _load_numbers(self, counter: int) -> dict[str, np.ndarray]:
        step, position, index = self._place(counter)
        try:
            loaded = self._load(index, self._generator(step, position))
            example = {name: np.asarray(value) for name, value in loaded.items()}
        except Exception as error:
            raise LoadError(index, step, f"{type(error).__name__}: {error}") from error
        if not example:
            raise LoadError(index, step, "the loader gave no arrays; wanted at least one")
        for name, array in example.items():
            if array.dtype.kind not in "biufc" or array.dtype.char in "gG":
                raise LoadError(index, step, f"'{name}' is {array.dtype}; wanted numbers of at most 64 bits")
        return example

    def _difference(self, found: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> str:
        if found.keys() != self.spec.keys():
            return f"arrays {sorted(found)}; example {self._first_index} gave {sorted(self.spec)}"
        name = next(name for name in found if found[name] != self.spec[name])
        (shape, dtype), (first_shape, first_dtype) = found[name], self.spec[name]
        return f"'{name}' is {dtype} {shape}; example {self._first_index} gave {first_dtype} {first_shape}"


def _describe(array: np.ndarray) -> tuple[tuple[int, ...], np.dtype]:
    return array.shape, array.dtype.newbyteorder("=")


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

    Returns:
        A generator of '(batch_size / process_count, *shape)' read-only arrays under the loader's names. Close
        it, or drop it, to end its threads; an open one is closed when the program ends.

    Raises:
        ValueError: a number is out of range.
        LoadError: (by the generator) an example failed, or differs from the first in names, shape or dtype.
    """
    part = plan.host_slice(process_index, process_count)
    if first_step < 0:
        raise ValueError(f"first_step is {first_step}; wanted at least 0")
    if num_steps is not None and num_steps < 0:
        raise ValueError(f"num_steps is {num_steps}; wanted at least 0, or None for no end")
    run = _choose(executor, num_threads, prefetch)

    def generate() -> Batches:
        if num_steps != 0:
            stream = _Stream(load, plan.index, plan.generator, part, first_step)
            yield from run(stream, first_step, num_steps)

    return generate()


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

    The generator that the loader receives depends on the index of the example alone.

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
        stream = _Stream(load, index, generator, part, 0)
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

    def run(stream: _Stream, first_step: int, num_steps: int | None) -> Batches:
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
