"""Nearest-neighbour and linear interpolation between grids, one axis at a time."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxmed.ops import polyphase

_VOLUME_RANK = 5  # batch, depth, height, width, channels


def upsample_nearest(
    x: Shaped[Array, "batch *spatial channels"], factor: int | Sequence[int] = 2
) -> Shaped[Array, "batch *upsampled channels"]:
    """Repeats every element along the spatial axes, as `jnp.repeat` along each; a split depth stays split.

    Args:
        x: (batch, *spatial, channels), with one or more spatial axes.
        factor: how often, along all spatial axes or along each.

    Returns:
        (batch, *(factor * spatial), channels) of the dtype of `x`.

    Raises:
        ValueError: `factor` has another length than the spatial axes, or an entry below 1.
    """
    num_axes = x.ndim - 2
    factors = (factor,) * num_axes if isinstance(factor, int) else tuple(factor)
    if num_axes < 1 or len(factors) != num_axes or min(factors) < 1:
        raise ValueError(
            f"factor: {factors} for x of shape {x.shape}; wanted 1 or more for each spatial axis"
        )
    first = 1
    if x.ndim == _VOLUME_RANK and factors[0] > 1:
        x, first = polyphase.interleave([x] * factors[0], 1, factors[0] * x.shape[1]), 2
    spread = [part for axis in range(first, x.ndim - 1) for part in (x.shape[axis], factors[axis - 1])]
    kept = [part for axis in range(first, x.ndim - 1) for part in (x.shape[axis], 1)]
    shape = [size * times for size, times in zip(x.shape[first:-1], factors[first - 1 :], strict=True)]
    head, tail = x.shape[:first], x.shape[-1]
    repeated = jnp.broadcast_to(x.reshape(*head, *kept, tail), (*head, *spread, tail))
    return repeated.reshape(*head, *shape, tail)


def resize_linear(
    x: Float[Array, "batch *spatial channels"], shape: Sequence[int]
) -> Float[Array, "batch *resized channels"]:
    """Resizes the spatial axes by (bi-, tri-)linear interpolation, with half-pixel centres.

    Along an axis of n elements resized to m, output i samples the input at (i + 1/2) n / m - 1/2, clamped
    to [0, n - 1]; the axes are independent. There is no antialiasing: shrinking skips elements. It equals
    `jax.image.resize(method="linear", antialias=False)` and PyTorch's `interpolate` with
    `align_corners=False`. Constants are kept exactly. An axis whose size n becomes 2 n or 2 n - 1 costs
    shifted averages and stays split over devices; one that keeps its size costs nothing; any other takes
    two gathers, for which a split axis is first collected on every device.

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
        double = 2 * x.shape[axis]
        if size == x.shape[axis]:
            continue
        x = _double(x, axis, size) if size in (double - 1, double) else _resample(x, axis, size)
    return x


def _double(x: jax.Array, axis: int, size: int) -> jax.Array:
    """Resizes `axis` to twice its size or one less: outputs 2 j and 2 j + 1 lie next to input j."""
    offsets = _positions(x.shape[axis], size) - np.arange(size) // 2
    halves = [_move(x, axis, offsets[start::2]) for start in (0, 1)]
    return polyphase.interleave(halves, axis, size)


def _move(x: jax.Array, axis: int, offsets: np.ndarray) -> jax.Array:
    """Samples element j of `axis` at j + offsets[j], in [-1, 1]; elements without an offset stay."""
    offsets = np.pad(offsets, (0, x.shape[axis] - len(offsets)))
    moved = x
    for direction in (-1, 1):
        weight = np.maximum(direction * offsets, 0)
        if weight.any():
            weight = jnp.asarray(weight, x.dtype).reshape(-1, *(1,) * (x.ndim - axis - 1))
            neighbour = polyphase.shift(x, axis, -direction)
            moved += (neighbour - x) * jnp.broadcast_to(weight, x.shape)
    return moved


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
    positions = _positions(old, new)
    lower = np.floor(positions).astype(np.int32)
    return lower, positions - lower


def _positions(old: int, new: int) -> np.ndarray:
    """Where each of the new elements lies among the old ones, in [0, old - 1]."""
    return np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
