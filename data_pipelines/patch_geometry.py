"""Where patches lie in a volume, and how they are cut out of it."""

import operator
from collections.abc import Sequence
from typing import Literal

import numpy as np

Padding = float | int | Literal["edge"]
"""What stands beyond a volume: a value of the array's dtype, or the nearest voxel."""


def start_range(length: int, size: int, margin: int) -> tuple[int, int]:
    """First and last voxel at which a patch may begin along an axis.

    The patch lies within the axis and `margin` voxels beyond each of its ends. Where that is too short for
    it, it is centred on the axis, the larger half of what it lacks after the end.

    Args:
        length: of the axis, in voxels.
        size: of the patch.
        margin: voxels that the patch may reach beyond either end.

    Returns:
        The range, both ends included; negative starts lie before the axis.
    """
    first, last = -margin, length + margin - size
    centred = -((size - length) // 2)
    return (first, last) if first <= last else (centred, centred)


def grid_starts(length: int, size: int, step: int) -> list[int]:
    """Covers an axis with patches that begin every `step` voxels; the last ends with the axis.

    An axis that is not longer than the patch has one, centred on it.
    """
    last = length - size
    if last <= 0:
        return [start_range(length, size, 0)[0]]
    return [*range(0, last, step), last]


def take_patch(array: np.ndarray, start: Sequence[int], size: Sequence[int], padding: Padding) -> np.ndarray:
    """Cuts a patch out of an array.

    Args:
        array: spatial axes, then any others, such as channels.
        start: first voxel of the patch along each spatial axis; may lie outside.
        size: of the patch.
        padding: what stands beyond the array.

    Returns:
        '(*size, ...)' of the array's dtype: a view where the patch lies within the array, so that nothing has
        been read or copied yet; else a new array.
    """
    shape = array.shape[: len(size)]
    stops = [first + extent for first, extent in zip(start, size, strict=True)]
    if min(start) >= 0 and all(map(operator.le, stops, shape)):
        return array[tuple(map(slice, start, stops))]
    inside = [
        slice(min(max(first, 0), length), min(max(stop, 0), length))
        for first, stop, length in zip(start, stops, shape, strict=True)
    ]
    part = array[tuple(inside)]
    if padding == "edge":
        return array[np.ix_(*map(_nearest, start, stops, shape))]
    patch = np.full((*size, *array.shape[len(size) :]), padding, array.dtype)
    target = [slice(cut.start - first, cut.stop - first) for cut, first in zip(inside, start, strict=True)]
    if part.size:
        patch[tuple(target)] = part
    return patch


def _nearest(start: int, stop: int, length: int) -> np.ndarray:
    return np.clip(np.arange(start, stop), 0, length - 1)
