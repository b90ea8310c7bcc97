"""A function of every example of a set, with variables that change between calls."""

from collections.abc import Callable, Mapping

import numpy as np

from jaxmed.infer.spread import Spread
from jaxmed.types import PyTree


class Streamed:
    """Applies a function to whole sets of examples on all devices where its variables lie.

    It is compiled once for all calls whose variables lie on the same mesh: for features of a network in
    training, say, which are wanted anew every epoch.
    """

    def __init__(self, function: Callable[[PyTree, PyTree], PyTree], batch_size: int):
        """Prepares `(variables, batch) -> (batch, *output)`, as in `spread.Spread`, for so many at a time."""
        self._function, self._batch_size = function, batch_size

    def __call__(self, variables: PyTree, examples: Mapping[str, np.ndarray]) -> np.ndarray:
        """Computes the outputs of all examples.

        Args:
            variables: of the function, the same shapes in every call.
            examples: arrays (examples, ...) by name, which may be memory-mapped.

        Returns:
            (examples, *output), in order, in the host's memory.
        """
        spread = Spread(self._function, variables, self._batch_size)
        count = len(next(iter(examples.values())))
        starts = range(0, count, spread.batch_size)
        parts = (slice(start, start + spread.batch_size) for start in starts)
        batches = ({name: array[part] for name, array in examples.items()} for part in parts)
        return np.concatenate(list(spread(batches)))
