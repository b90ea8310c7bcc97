"""Where sliding windows lie along an axis, and how much each counts at every voxel."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32

Weighting = Literal["constant", "gaussian", "centre"]

_SIGMA = 1 / 8


class WindowAxis(NamedTuple):
    """The windows along one axis.

    Attributes:
        starts: first voxel of each window, ascending; negative where the window is larger than the axis.
        weights: (windows, size) of each window's voxels. Over the windows that cover a voxel they sum to 1.
    """

    starts: list[int]
    weights: Float32[np.ndarray, "windows size"]


def place_windows(length: int, size: int, overlap: float | int, weighting: Weighting) -> WindowAxis:
    """Covers an axis with windows.

    One starts every max(1, round(size (1 - overlap))) voxels, and the last one is shifted back so that it
    ends with the axis. A single window that is larger than the axis is centred on it.

    With x from 0 to size - 1, a window counts, before the weights of a voxel are divided by their sum:

    - "constant": 1.
    - "gaussian": exp(-(x - (size - 1) / 2)^2 / (2 (size / 8)^2)).
    - "centre": 1 in the middle, over as many voxels as lie between two starts, and 0 in the margins, but
      for the outer margins of the first and the last window. Size 48 and overlap 1/3 keep the central 32.

    Args:
        length: of the axis, in voxels.
        size: of the windows, in voxels.
        overlap: part of a window, in [0, 1), that the next one covers again.
        weighting: as above.

    Returns:
        Starts and weights of the windows.

    Raises:
        ValueError: for a length or size below 1, an overlap outside [0, 1), or an unknown weighting.
    """
    if min(length, size) < 1:
        raise ValueError(f"windows of size {size} on an axis of length {length}; wanted both 1 or more")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap: {overlap}; wanted within [0, 1)")
    step = max(1, round(size * (1 - overlap)))
    last = length - size
    starts = [*range(0, last, step), last] if last > 0 else [last // 2]
    weights = np.tile(_profile(size, step, weighting), (len(starts), 1))
    if weighting == "centre":
        margin = (size - step) // 2
        weights[0, :margin] = weights[-1, margin + step :] = 1
    voxels = np.add.outer(starts, np.arange(size)) - starts[0]
    sums = np.bincount(voxels.ravel(), weights.ravel())
    return WindowAxis(starts, (weights / sums[voxels]).astype(np.float32))


def _profile(size: int, step: int, weighting: Weighting) -> np.ndarray:
    if weighting == "constant":
        return np.ones(size)
    if weighting == "gaussian":
        offset = np.arange(size) - (size - 1) / 2
        return np.exp(-((offset / (size * _SIGMA)) ** 2) / 2)
    if weighting == "centre":
        margin = (size - step) // 2
        return np.pad(np.ones(step), (margin, size - step - margin))
    raise ValueError(f"weighting: '{weighting}'; wanted constant, gaussian or centre")
