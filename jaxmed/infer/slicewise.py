"""Two-dimensional networks on volumes, slice by slice, alone or with their neighbours."""

from collections.abc import Callable, Sequence

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


def make_stackwise(
    function: Callable[[PyTree, PyTree], PyTree], variables: PyTree, batch_size: int, *, reach: int = 1
) -> Callable[[np.ndarray], np.ndarray]:
    """Like `make_slicewise` for "2.5-D" functions, whose slices have their neighbours as channels.

    Args:
        function: as in `make_slicewise`, from (batch, height, width, 2 reach + 1).
        variables: see `spread.Spread`.
        batch_size: slices at a time over all devices.
        reach: how many neighbours on either side.

    Returns:
        A function from a volume (depth, height, width) to (depth, *output); errors as in `make_slicewise`.
    """
    spread = Spread(function, variables, batch_size)

    def apply(volume: np.ndarray) -> np.ndarray:
        if not len(volume):
            raise ValueError(f"volume of shape {volume.shape} has no slice")
        starts = range(0, len(volume), spread.batch_size)
        parts = (range(start, min(start + spread.batch_size, len(volume))) for start in starts)
        return np.concatenate(list(spread(stack_neighbours(volume, part, reach) for part in parts)))

    return apply


def stack_neighbours(volume: np.ndarray, positions: Sequence[int], reach: int = 1) -> np.ndarray:
    """Takes slices with their neighbours as channels; beyond the ends of the volume these are its end slices.

    Args:
        volume: (depth, height, width), of any dtype.
        positions: of the slices.
        reach: how many neighbours on either side.

    Returns:
        (positions, height, width, 2 reach + 1).
    """
    index = np.asarray(positions, int)[:, None] + np.arange(-reach, reach + 1)
    return np.moveaxis(volume[np.clip(index, 0, len(volume) - 1)], 1, -1)
