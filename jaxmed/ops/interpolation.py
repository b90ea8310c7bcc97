"""Linear interpolation between grids, one axis at a time."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def resize_linear(
    x: Float[Array, "batch *spatial channels"], shape: Sequence[int]
) -> Float[Array, "batch *resized channels"]:
    """Resizes the spatial axes by (bi-, tri-)linear interpolation, with half-pixel centres.

    Along an axis of n elements resized to m, output i samples the input at (i + 1/2) n / m - 1/2, clamped
    to [0, n - 1]; the axes are independent. There is no antialiasing: shrinking skips elements. It equals
    `jax.image.resize(method="linear", antialias=False)` and PyTorch's `interpolate` with
    `align_corners=False`. Constants are kept exactly. An axis whose size doubles costs two shifted
    averages and can stay split over devices; one that keeps its size costs nothing; any other takes two
    gathers, for which a split axis is first collected on every device.

    Args:
        x: (batch, *spatial, channels), with one or more spatial axes.
        shape: the wanted size of every spatial axis.

    Returns:
        (batch, *shape, channels) of the dtype of `x`.

    Raises:
        ValueError: `shape` has another length than the spatial axes, or a size below 1.
    """
    if x.ndim < 3 or len(shape) != x.ndim - 2 or min(shape) < 1:
        raise ValueError(
            f"shape: {tuple(shape)} for x of shape {x.shape}; wanted one size >= 1 for each axis between "
            "the batch and the channels"
        )
    for axis, size in enumerate(shape, start=1):
        if size == 2 * x.shape[axis]:
            x = _double(x, axis)
        elif size != x.shape[axis]:
            x = _resample(x, axis, size)
    return x


def _double(x: jax.Array, axis: int) -> jax.Array:
    """Resizes `axis` to twice its size: 3/4 of an element and 1/4 of the neighbour on either side."""
    size = x.shape[axis]
    before = jnp.concatenate(
        [jax.lax.slice_in_dim(x, 0, 1, axis=axis), jax.lax.slice_in_dim(x, 0, size - 1, axis=axis)], axis
    )
    after = jnp.concatenate(
        [jax.lax.slice_in_dim(x, 1, size, axis=axis), jax.lax.slice_in_dim(x, size - 1, size, axis=axis)],
        axis,
    )
    pair = jnp.stack([x + (before - x) / 4, x + (after - x) / 4], axis + 1)
    return pair.reshape(*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])


def _resample(x: jax.Array, axis: int, size: int) -> jax.Array:
    """Resizes `axis` to `size` from the two neighbours of every sample."""
    lower, weight = _neighbours(x.shape[axis], size)
    upper = np.minimum(lower + 1, x.shape[axis] - 1)
    weight = jnp.asarray(weight, x.dtype).reshape(size, *(1,) * (x.ndim - axis - 1))
    first, second = (_take(x, index, axis) for index in (lower, upper))
    return first + (second - first) * jnp.broadcast_to(weight, first.shape)


def _take(x: jax.Array, index: np.ndarray, axis: int) -> jax.Array:
    return jnp.take(x, index, axis=axis, mode="clip", indices_are_sorted=True)


def _neighbours(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """For every output element, its lower neighbour and the weight of the one above it, in [0, 1)."""
    positions = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    lower = np.floor(positions).astype(np.int32)
    return lower, positions - lower
