"""Which example stands where in which batch, as a pure function of the step number."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

_CROP_STREAM = np.array([0, 0, 0, 1], np.uint64)
"""Philox counter at which the generators of examples start: 2^192 blocks away from the permutations."""


_FRESH: Any = np.random.Philox(0).state
"""Of a generator that has drawn nothing, whatever its key."""


@functools.lru_cache(maxsize=8)
def _epoch_permutation(num_examples: int, run_length: int, seed: int, epoch: int) -> np.ndarray:
    # A list would be read as float64 by NumPy and lose the low bits of large seeds.
    key = np.array([seed, epoch], np.uint64)
    runs = np.random.Generator(np.random.Philox(key=key)).permutation(num_examples // run_length)
    permutation = (runs[:, None] * run_length + np.arange(run_length)).ravel()
    permutation.flags.writeable = False
    return permutation


def example_generator(seed: int, counter: int) -> np.random.Generator:
    """Makes the random generator of one place in the stream of examples.

    Args:
        seed: seed of the run, in [0, 2^64).
        counter: place in the stream, counted over all hosts and steps.

    Returns:
        A generator on the Philox stream with key (seed, counter), disjoint from every epoch permutation.
    """
    key: Any = _Key(seed, counter)
    bits = np.random.Philox(key)
    fresh: Any = {**_FRESH, "state": {"counter": _CROP_STREAM, "key": key.words}}
    bits.state = fresh
    return np.random.Generator(bits)


class _Key(np.random.bit_generator.ISeedSequence):
    """Philox's key itself: given as `key`, it would ask the system for random bits first, and drop them."""

    def __init__(self, seed: int, counter: int):
        self.words = np.array([seed, counter], np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray:
        return self.words


def host_slice(batch_size: int, process_index: int, process_count: int) -> slice:
    """Finds the contiguous part of the global batch that belongs to one host.

    Args:
        batch_size: examples in the global batch.
        process_index: number of this host, in [0, process_count).
        process_count: number of hosts; divides batch_size.

    Returns:
        The slice of positions in the global batch.

    Raises:
        ValueError: the batch does not divide by the hosts, or there is no such host.
    """
    if process_count < 1:
        raise ValueError(f"process_count is {process_count}; wanted at least 1")
    if not 0 <= process_index < process_count:
        raise ValueError(f"process_index is {process_index}; wanted 0 to {process_count - 1}")
    if batch_size % process_count:
        raise ValueError(f"batch_size is {batch_size}; wanted a multiple of the {process_count} processes")
    size = batch_size // process_count
    return slice(process_index * size, (process_index + 1) * size)


def _check_sizes(num_examples: int, batch_size: int) -> None:
    for name, value in (("num_examples", num_examples), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} is {value}; wanted at least 1")


@dataclass(frozen=True)
class IndexPlan:
    """The training order: epoch permutations end to end, cut into batches.

    The stream of examples is the concatenation of permutations of range(num_examples), that of epoch e
    drawn from Philox(key=[seed, e]). Runs of `run_length` neighbours stay together in their own order, so
    that what they share, such as the volume that patches are cut from, is read once: worth it where the data
    do not fit into memory, at the price of batches that show fewer volumes.

    The batch of step s is [s * batch_size, (s + 1) * batch_size) of the stream, so a batch may cross epochs
    and may be larger than the data set. Stream and generators do not depend on the batch size. Whoever knows
    the step knows everything: nothing else need be saved.

    Attributes:
        num_examples: size of the data set.
        batch_size: examples in the global batch.
        seed: seed of the run, in [0, 2^64).
        run_length: neighbours that stay together; divides num_examples.

    Raises:
        ValueError: a size is below 1, the runs do not divide the data set, or the seed is out of range.
    """

    num_examples: int
    batch_size: int
    seed: int
    run_length: int = 1

    def __post_init__(self) -> None:
        _check_sizes(self.num_examples, self.batch_size)
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed is {self.seed}; wanted 0 to 2^64 - 1")
        if self.run_length < 1 or self.num_examples % self.run_length:
            raise ValueError(
                f"run_length is {self.run_length}; wanted a divisor of {self.num_examples} examples"
            )

    def index(self, step: int, position: int) -> int:
        """Gives the example at one position of the global batch of a step."""
        epoch, offset = divmod(step * self.batch_size + position, self.num_examples)
        return int(self._permutation(epoch)[offset])

    def indices(self, step: int) -> np.ndarray:
        """Gives the global batch of a step.

        Args:
            step: number of the step, from 0.

        Returns:
            '(batch_size,)' int64 indices into the data set.
        """
        parts = []
        start, stop = step * self.batch_size, (step + 1) * self.batch_size
        while start < stop:
            epoch, offset = divmod(start, self.num_examples)
            parts.append(self._permutation(epoch)[offset : offset + stop - start])
            start += len(parts[-1])
        return np.concatenate(parts)

    def _permutation(self, epoch: int) -> np.ndarray:
        return _epoch_permutation(self.num_examples, self.run_length, self.seed, epoch)

    def generator(self, step: int, position: int) -> np.random.Generator:
        """Makes the random generator of one position of the global batch of a step."""
        return example_generator(self.seed, step * self.batch_size + position)

    def host_slice(self, process_index: int, process_count: int) -> slice:
        """Finds the contiguous part of the global batch that belongs to one host; see `host_slice`."""
        return host_slice(self.batch_size, process_index, process_count)


def evaluation_batches(num_examples: int, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cuts a data set into batches in its own order, each example with weight 1 exactly once.

    The last batch is filled up by repeating the last example with weight 0.

    Args:
        num_examples: size of the data set.
        batch_size: examples in every batch.

    Yields:
        '(batch_size,)' int64 indices and '(batch_size,)' float32 weights.

    Raises:
        ValueError: a size is below 1.
    """
    _check_sizes(num_examples, batch_size)
    for start in range(0, num_examples, batch_size):
        positions = np.arange(start, start + batch_size)
        yield np.minimum(positions, num_examples - 1), (positions < num_examples).astype(np.float32)
