"""Two-dimensional networks on volumes, slice by slice."""

from collections.abc import Callable

import numpy as np

from jaxmed.infer.spread import Spread
from jaxmed.types import PyTree


def make_slicewise(
    function: Callable[[PyTree, PyTree], PyTree], variables: PyTree, batch_size: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Turns a function of slices into one of volumes, which runs on all devices of the variables.

    Args:
        function: `(variables, slices) -> outputs`, pure and jittable, from (batch, *slice) to
            (batch, *output), slice by slice.
        variables: see `spread.Spread`.
        batch_size: slices at a time over all devices; volumes of any depth and one slice size share one
            compilation.

    Returns:
        A function from a volume (depth, *slice), which may be memory-mapped, to (depth, *output). It raises
        ValueError if the volume has no slice.

    Raises:
        ValueError: see `spread.Spread`.
    """
    spread = Spread(function, variables, batch_size)

    def apply(volume: np.ndarray) -> np.ndarray:
        if not len(volume):
            raise ValueError(f"volume of shape {volume.shape} has no slice")
        starts = range(0, len(volume), spread.batch_size)
        return np.concatenate(list(spread(volume[start : start + spread.batch_size] for start in starts)))

    return apply
