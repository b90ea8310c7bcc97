"""Losses that hold a segmentation to a bounding box: tightness, size, and nothing outside.

Boxes are as in `jaxmed.ops.boxes`, one for each image: (top, left, bottom, right), half-open, in pixels. An
image whose box is empty has no foreground: tightness and size then ask for nothing (0), emptiness for
everything.

Reference: Kervadec et al., Bounding boxes for weakly supervised segmentation: global constraints get close to
full supervision, MIDL 2020.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxmed.losses.log_barrier import log_barrier
from jaxmed.ops import boxes as box_ops


def tightness(
    probabilities: Float[Array, "batch height width"],
    boxes: Int[Array, "batch 4"],
    t: Float[Array, ""] | float,
    *,
    stripe: int,
    pixel_area: float = 1.0,
) -> Float[Array, " batch"]:
    """Barriers of the deep tightness prior: every stripe across the box meets the object.

    The box is cut into stripes of `stripe` rows from its top, and of as many columns from its left; the last
    of each may be narrower. Each has the full extent of the box in the other direction, and its sum of
    probabilities should be at least its width w: the barrier of w - sum, summed over all stripes.

    Args:
        probabilities: (batch, height, width) of the foreground, in [0, 1].
        boxes: (batch, 4).
        t: sharpness of the barrier.
        stripe: width of the stripes in pixels, 1 or more.
        pixel_area: what a pixel counts. The barrier is not homogeneous: on slices that are coarser than those
            for which t and a weight were chosen, this keeps their meaning. Areas grow by it, and the width of
            a stripe by its square root: coarse slices have the losses of the fine ones that they stand for.

    Returns:
        (batch,), not normalised by the number of stripes or pixels.

    Raises:
        ValueError: a stripe of less than a pixel.

    Reference: the module's. differs: the released code measures a box from the first to the last pixel of the
    object, so that its last row and column are in no stripe where `stripe` divides that distance.
    """
    if stripe < 1:
        raise ValueError(f"stripe is {stripe}; wanted at least 1")
    inside = box_ops.fill_boxes(boxes, probabilities.shape[1:])
    kept = jnp.where(inside, probabilities, 0)
    rows = _stripes(kept.sum(axis=2), boxes[:, 0], boxes[:, 2], t, stripe, pixel_area)
    columns = _stripes(kept.sum(axis=1), boxes[:, 1], boxes[:, 3], t, stripe, pixel_area)
    return jnp.where(box_ops.box_sizes(boxes) > 0, rows + columns, 0)


def _stripes(
    sums: jax.Array,
    first: jax.Array,
    last: jax.Array,
    t: Float[Array, ""] | float,
    width: int,
    pixel_area: float,
) -> jax.Array:
    """Barriers along one axis, whose lines have the sums (batch, size), summed over its stripes."""
    size = sums.shape[1]
    number = (jnp.arange(size)[None] - first[:, None]) // width
    member = number[:, :, None] == jnp.arange(-(-size // width))[None, None]
    member &= box_ops.interval(first, last, size)[:, :, None]
    wanted = math.sqrt(pixel_area) * member.sum(axis=1).astype(sums.dtype)
    found = pixel_area * jnp.einsum("bs,bsk->bk", sums, member.astype(sums.dtype), precision="highest")
    return jnp.where(wanted > 0, log_barrier(wanted - found, t), 0).sum(axis=1)


def box_size(
    probabilities: Float[Array, "batch height width"],
    boxes: Int[Array, "batch 4"],
    t: Float[Array, ""] | float,
    *,
    shares: tuple[float, float],
    pixel_area: float = 1.0,
) -> Float[Array, " batch"]:
    """Barriers of the size of the foreground: between two shares of the box's area.

    psi(low - size) + psi(size - high), in pixels, divided by the pixels of the image. The size is that of the
    whole image, outside of the box included.

    Args:
        probabilities: (batch, height, width) of the foreground, in [0, 1].
        boxes: (batch, 4).
        t: sharpness of the barrier.
        shares: the least and the largest size, as shares of the box's area.
        pixel_area: what a pixel counts; see `tightness`.

    Returns:
        (batch,).

    Raises:
        ValueError: shares that are not in order within [0, 1].

    Reference: the module's, with the normalisation of the released code.
    """
    low, high = shares
    if not 0 <= low < high <= 1:
        raise ValueError(f"shares: {shares}; wanted 0 <= low < high <= 1")
    area = pixel_area * box_ops.box_sizes(boxes).astype(probabilities.dtype)
    size = pixel_area * probabilities.sum(axis=(1, 2))
    values = log_barrier(low * area - size, t) + log_barrier(size - high * area, t)
    return jnp.where(area > 0, values, 0) / (pixel_area * probabilities.shape[1] * probabilities.shape[2])


def emptiness(
    probabilities: Float[Array, "batch height width"],
    boxes: Int[Array, "batch 4"],
    t: Float[Array, ""] | float,
) -> Float[Array, " batch"]:
    """Barrier of the foreground outside of the box, which should not be above 0.

    psi(sum of the probabilities outside) / pixels of the image. The sum is never below 0, so that only the
    linear part of the barrier is met: a pull of t on every pixel alike.

    Args:
        probabilities: (batch, height, width) of the foreground, in [0, 1].
        boxes: (batch, 4).
        t: sharpness of the barrier.

    Returns:
        (batch,).

    Reference: the module's. differs: the released code has the weight `1-2`, which is -1, before a barrier of
    the background's probability outside.
    """
    inside = box_ops.fill_boxes(boxes, probabilities.shape[1:])
    outside = jnp.where(inside, 0, probabilities).sum(axis=(1, 2))
    return log_barrier(outside, t) / (probabilities.shape[1] * probabilities.shape[2])


def background_cross_entropy(
    logits: Float[Array, "batch height width"], boxes: Int[Array, "batch 4"]
) -> Float[Array, " batch"]:
    """Masked cross-entropy: -log(1 - p) of the foreground's p = sigma(logit), averaged over the outside.

    Args:
        logits: (batch, height, width) log-odds of the foreground.
        boxes: (batch, 4).

    Returns:
        (batch,), in nats; 0 where a box covers the image.
    """
    inside = box_ops.fill_boxes(boxes, logits.shape[1:])
    total = jnp.where(inside, 0, jax.nn.softplus(logits)).sum(axis=(1, 2))
    count = (~inside).sum(axis=(1, 2))
    return total / jnp.maximum(count, 1)
