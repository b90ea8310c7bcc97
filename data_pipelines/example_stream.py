"""One host's stream of examples: each in its place, checked, and replaced where its file cannot be read."""

import logging
from collections.abc import Callable, Mapping

import numpy as np

from data_pipelines.readers.errors import is_unreadable_file

_LOG = logging.getLogger(__name__)

Load = Callable[[int, np.random.Generator], Mapping[str, np.ndarray]]
"""(index, generator) to the named arrays of one example: the same names, shapes and dtypes every time.

It is called from several threads at once and draws its random numbers from the generator alone. It should
not call `np.load`, which in threads of Python 3.11 fails at random with a SystemError (it parses headers by
`ast`): open arrays before, or through `cache.open_cache`.
"""


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


class Stream:
    """One host's stream of examples, numbered from step 0 on; each is checked against the first loaded.

    An example whose file cannot be read is replaced by the next one of the data set (modulo its size) that
    can, which depends on the files alone. Which examples count against the limit is settled batch by batch
    in `settle`, so that threads that load ahead change nothing.

    Args:
        load: loads one example.
        index: (step, position in the global batch) to the example's index.
        generator: likewise, to its random generator.
        part: this host's positions.
        first_step: step that the stream begins with.
        num_examples: size of the data set.
        max_bad_cases: how many examples may be unreadable.

    Attributes:
        batch_size: examples of this host in a batch.
        spec: shape and dtype of each array of an example.
        left_out: indices of the examples that were replaced so far.

    Raises:
        LoadError: the first example cannot be loaded.
    """

    def __init__(
        self,
        load: Load,
        index: Callable[[int, int], int],
        generator: Callable[[int, int], np.random.Generator],
        part: slice,
        first_step: int,
        num_examples: int,
        max_bad_cases: int = 0,
    ):
        self._load, self._index, self._generator, self._part = load, index, generator, part
        self._num_examples, self._max_bad_cases = num_examples, max_bad_cases
        self.spec: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
        self._unreadable: dict[int, BaseException] = {}
        self._met: dict[int, list[int]] = {}
        self.left_out: list[int] = []
        self.batch_size = part.stop - part.start
        first = first_step * self.batch_size
        self._first_index, example = self._load_place(first)
        self.spec = {name: _describe(array) for name, array in example.items()}
        self._loaded = {first: example}

    def fetch(self, counter: int) -> dict[str, np.ndarray]:
        """Loads example number `counter` of the stream; may be called from several threads at once.

        Raises:
            LoadError: it cannot be loaded, and is not to be replaced.
        """
        example = self._loaded.pop(counter, None)
        if example is not None:
            return example
        index, example = self._load_place(counter)
        if self._fits(example):
            return example
        found = {name: _describe(array) for name, array in example.items()}
        if found != self.spec:
            raise LoadError(index, counter // self.batch_size, self._difference(found))
        return example

    def settle(self, step: int) -> None:
        """Names and counts the examples that were replaced in a batch; to be called batch by batch, in order.

        Raises:
            LoadError: more than `max_bad_cases` examples up to this batch.
        """
        for counter in range(step * self.batch_size, (step + 1) * self.batch_size):
            for index in self._met.pop(counter, ()):
                if index in self.left_out:
                    continue
                if len(self.left_out) == self._max_bad_cases:
                    raise self._refusal(index, step) from self._unreadable[index]
                self.left_out.append(index)
                _LOG.warning(
                    "example %d is left out (%d of at most %d): %s",
                    index,
                    len(self.left_out),
                    self._max_bad_cases,
                    " ".join(str(self._unreadable[index]).split()),
                )

    def _load_place(self, counter: int) -> tuple[int, dict[str, np.ndarray]]:
        step, offset = divmod(counter, self.batch_size)
        position = self._part.start + offset
        index = self._index(step, position)
        met: list[int] = []
        while index not in met:
            if index not in self._unreadable:
                try:
                    example = self._load_index(index, step, position)
                except LoadError as error:
                    cause = error.__cause__
                    if cause is None or not is_unreadable_file(cause):
                        raise
                    self._unreadable[index] = cause
                else:
                    if met:
                        self._met[counter] = met
                    return index, example
            met.append(index)
            if len(met) > self._max_bad_cases:
                break
            index = (index + 1) % self._num_examples
        raise self._refusal(met[-1], step) from self._unreadable[met[-1]]

    def _load_index(self, index: int, step: int, position: int) -> dict[str, np.ndarray]:
        try:
            loaded = self._load(index, self._generator(step, position))
            if self._fits(loaded):
                return dict(loaded)
            example = {name: np.asarray(value) for name, value in loaded.items()}
        except Exception as error:
            raise LoadError(index, step, f"{type(error).__name__}: {error}") from error
        if not example:
            raise LoadError(index, step, "the loader gave no arrays; wanted at least one")
        for name, array in example.items():
            if array.dtype.kind not in "biufc" or array.dtype.char in "gG":
                raise LoadError(index, step, f"'{name}' is {array.dtype}; wanted numbers of at most 64 bits")
        return example

    def _fits(self, example: Mapping[str, np.ndarray]) -> bool:
        """Whether an example looks like the first one at a glance, as nearly all do."""
        if not self.spec or example.keys() != self.spec.keys():
            return False
        return all(
            type(example[name]) is np.ndarray and (example[name].shape, example[name].dtype) == described
            for name, described in self.spec.items()
        )

    def _refusal(self, index: int, step: int) -> LoadError:
        error = self._unreadable[index]
        limit = f" (max_bad_cases is {self._max_bad_cases})" if self._max_bad_cases else ""
        return LoadError(index, step, f"{type(error).__name__}: {error}{limit}")

    def _difference(self, found: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> str:
        if found.keys() != self.spec.keys():
            return f"arrays {sorted(found)}; example {self._first_index} gave {sorted(self.spec)}"
        name = next(name for name in found if found[name] != self.spec[name])
        (shape, dtype), (first_shape, first_dtype) = found[name], self.spec[name]
        return f"'{name}' is {dtype} {shape}; example {self._first_index} gave {first_dtype} {first_shape}"


def _describe(array: np.ndarray) -> tuple[tuple[int, ...], np.dtype]:
    return array.shape, array.dtype.newbyteorder("=")
