"""Two-dimensional networks on volumes, slice by slice."""

from collections.abc import Callable, Iterator

import numpy as np


def apply_slicewise(
    function: Callable[[np.ndarray], np.ndarray], volume: np.ndarray, batch_size: int
) -> np.ndarray:
    """Applies a function of slices to a volume in batches of one size, so that it is compiled once.

    Args:
        function: from (batch_size, *slice) to (batch_size, *output), slice by slice.
        volume: (depth, *slice), depth at least 1; may be memory-mapped.
        batch_size: slices at a time; the last batch is filled up with the last slice.

    Returns:
        (depth, *output).

    Raises:
        ValueError: if the volume has no slice.
    """
    if not len(volume):
        raise ValueError(f"volume of shape {volume.shape} has no slice")
    parts = [np.asarray(function(chunk))[:count] for chunk, count in _batches(volume, batch_size)]
    return np.concatenate(parts)


def _batches(volume: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, int]]:
    for start in range(0, len(volume), size):
        chunk = np.asarray(volume[start : start + size])
        padding = [(0, size - len(chunk))] + [(0, 0)] * (volume.ndim - 1)
        yield np.pad(chunk, padding, mode="edge"), len(chunk)
