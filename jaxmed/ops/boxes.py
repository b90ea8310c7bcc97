"""Axis-aligned boxes: of masks, as masks, cut into slices, and how far two agree.

A box is half-open, its first corner before its last one and both in axis order: (top, left, bottom, right) in
an image, (front, top, left, back, bottom, right) in a volume. So last - first is its extent, whether the
corners are indices of elements or real numbers. A box without extent along some axis is empty; the empty box
of a mask without foreground is all 0.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num, Shaped


def tight_boxes(masks: Shaped[Array, "batch *spatial"]) -> Int[Array, "batch corners"]:
    """Finds the smallest box around the foreground of each mask, whatever its number of components.

    Args:
        masks: (batch, *spatial); what is not 0 is foreground.

    Returns:
        (batch, 2 axes) int32; all 0 where there is no foreground.

    Raises:
        ValueError: there is no spatial axis.
    """
    axes = range(1, masks.ndim)
    if not axes:
        raise ValueError(f"masks: shape {masks.shape}; wanted one or more axes after the batch")
    first, last = [], []
    for axis in axes:
        occupied = (masks != 0).any(axis=tuple(other for other in axes if other != axis))
        first.append(jnp.argmax(occupied, axis=1))
        last.append(occupied.shape[1] - jnp.argmax(occupied[:, ::-1], axis=1))
    boxes = jnp.stack([*first, *last], axis=1)
    return jnp.where((masks != 0).any(axis=tuple(axes))[:, None], boxes, 0).astype(jnp.int32)


def fill_boxes(boxes: Num[Array, "batch corners"], shape: Sequence[int]) -> Bool[Array, "batch *spatial"]:
    """Turns boxes into masks: the elements whose index lies in [first, last) along every axis.

    Args:
        boxes: (batch, 2 axes), in indices; may reach beyond the grid.
        shape: of the grid.

    Returns:
        (batch, *shape).

    Raises:
        ValueError: `shape` has another number of axes than the boxes.
    """
    first, last = split_corners(boxes)
    if first.shape[-1] != len(shape):
        raise ValueError(f"shape: {tuple(shape)} for boxes of {first.shape[-1]} axes")
    inside = jnp.ones((len(boxes), *shape), bool)
    for axis, size in enumerate(shape):
        along = interval(first[:, axis], last[:, axis], size)
        inside &= along.reshape(len(boxes), *(size if other == axis else 1 for other in range(len(shape))))
    return inside


def interval(first: Num[Array, " batch"], last: Num[Array, " batch"], size: int) -> Bool[Array, "batch size"]:
    """Which indices of an axis of this size lie in [first, last)."""
    index = jnp.arange(size)[None]
    return (index >= first[:, None]) & (index < last[:, None])


def slice_boxes(boxes: Num[Array, "batch 6"], depth: int) -> Num[Array, "batch {depth} 4"]:
    """Cuts the boxes of volumes into those of slices: the same rectangle in each slice that a box meets.

    Args:
        boxes: (batch, 6).
        depth: number of slices.

    Returns:
        (batch, depth, 4); all 0 in the other slices.
    """
    inside = interval(boxes[:, 0], boxes[:, 3], depth)
    planes = boxes[:, jnp.array([1, 2, 4, 5])]
    return jnp.where(inside[:, :, None], planes[:, None], jnp.zeros((), boxes.dtype))


def box_sizes(boxes: Num[Array, "*batch corners"]) -> Num[Array, "*batch"]:
    """Area or volume of each box; 0 where it is empty."""
    first, last = split_corners(boxes)
    return jnp.maximum(last - first, 0).prod(axis=-1)


def box_iou(
    boxes: Num[Array, "*batch corners"], others: Num[Array, "*batch corners"]
) -> Float[Array, "*batch"]:
    """Intersection over union of boxes, one by one: 1 if and only if they are equal, or both empty.

    Args:
        boxes: (*batch, 2 axes).
        others: as many, with the same number of axes.

    Returns:
        (*batch) float32 in [0, 1], symmetric in its arguments.
    """
    (first, last), (other_first, other_last) = split_corners(boxes), split_corners(others)
    common = jnp.concatenate([jnp.maximum(first, other_first), jnp.minimum(last, other_last)], axis=-1)
    overlap = box_sizes(common)
    union = box_sizes(boxes) + box_sizes(others) - overlap
    return jnp.where(union > 0, overlap / jnp.where(union > 0, union, 1), 1.0).astype(jnp.float32)


def split_corners(
    boxes: Num[Array, "*batch corners"],
) -> tuple[Num[Array, "*batch axes"], Num[Array, "*batch axes"]]:
    """First and last corners, each (*batch, axes).

    Raises:
        ValueError: an odd number of coordinates, or none.
    """
    count = boxes.shape[-1]
    if count < 2 or count % 2:
        raise ValueError(f"boxes: shape {boxes.shape}; wanted two corners of as many coordinates")
    return boxes[..., : count // 2], boxes[..., count // 2 :]
