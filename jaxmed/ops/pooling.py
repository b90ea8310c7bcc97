"""Max-pooling without reduce_window, whose gradient is about ten times slower on CPU."""

import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmed.ops import polyphase

_VOLUME_RANK = 5  # batch, depth, height, width, channels


def max_pool(
    x: Float[Array, "batch *spatial channels"], *, window: int | Sequence[int] = 2, ceil_mode: bool = False
) -> Float[Array, "batch *pooled channels"]:
    """Maximum over windows that touch and do not overlap.

    The gradient of a window goes to its first maximum in scan order (row by row), as in XLA's
    select-and-scatter and in PyTorch. A window that holds NaN gives NaN and passes no gradient on.

    Derivatives are reverse mode, of any order; forward mode (`jax.jvp`, `jax.hessian`) is refused by JAX
    because the gradient is a `custom_vjp`.

    Args:
        x: (batch, *spatial, channels), with one or more spatial axes.
        window: size and stride along all spatial axes, or along each; 1 leaves an axis as it is.
        ceil_mode: what becomes of the elements that are left of a size which the window w does not divide:
            a last window of their own, so that n becomes ceil(n / w) (True), or nothing (False).

    Returns:
        (batch, *pooled, channels) of the dtype of `x`.

    Raises:
        ValueError: `x` has no spatial axis, `window` does not fit its axes, or an axis smaller than the
            window would vanish (`ceil_mode=False`).
    """
    spatial = x.shape[1:-1]
    windows = (window,) * len(spatial) if isinstance(window, int) else tuple(window)
    fit = spatial and len(windows) == len(spatial) and min(windows) >= 1
    if not fit or (not ceil_mode and any(map(int.__lt__, spatial, windows))):
        raise ValueError(
            f"x: shape {x.shape}; wanted (batch, *spatial, channels) with spatial sizes not below the "
            f"window {windows}"
        )
    rests = [size % wide for size, wide in zip(spatial, windows, strict=True)]
    if any(rests) and ceil_mode:
        missing = [(0, -size % wide) for size, wide in zip(spatial, windows, strict=True)]
        x = jnp.pad(x, [(0, 0), *missing, (0, 0)], constant_values=-math.inf)
    elif any(rests):
        x = x[(slice(None), *(slice(size - rest) for size, rest in zip(spatial, rests, strict=True)))]
    return (
        _pool_depth(_pool(x, (1, *windows[1:])), windows[0]) if x.ndim == _VOLUME_RANK else _pool(x, windows)
    )


def _pool_depth(x: jax.Array, window: int) -> jax.Array:
    """Pools the first spatial axis, which may be split over devices and stays so at every size."""
    maximum = polyphase.component(x, 1, window, 0)
    for offset in range(1, window):
        part = polyphase.component(x, 1, window, offset)
        maximum = jnp.where((maximum >= part) | jnp.isnan(maximum), maximum, part)
    return maximum


def _windows(x: jax.Array, windows: Sequence[int]) -> jax.Array:
    """Splits the spatial axes: (batch, size / window, window, ..., channels)."""
    parts = [part for size, wide in zip(x.shape[1:-1], windows, strict=True) for part in (size // wide, wide)]
    return x.reshape(x.shape[0], *parts, x.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _pool(x: jax.Array, windows: tuple[int, ...]) -> jax.Array:
    """Pools the spatial axes, whose sizes are multiples of the windows."""
    split = _windows(x, windows)
    return split.max(axis=tuple(range(2, split.ndim - 1, 2)))


def _forward(x: jax.Array, windows: tuple[int, ...]) -> tuple:
    maximum = _pool(x, windows)
    return maximum, (x, maximum)


def _backward(windows: tuple[int, ...], residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple:
    x, maximum = residuals
    split, num_axes = _windows(x, windows), len(windows)
    taken = jnp.zeros(maximum.shape, bool)
    parts = []
    for offsets in itertools.product(*map(range, windows)):
        part = split[(slice(None), *(item for offset in offsets for item in (slice(None), offset)))]
        first = (part == maximum) & ~taken
        taken |= first
        parts.append(jnp.where(first, gradient, jnp.zeros_like(gradient)))
    stacked = jnp.stack(parts, axis=-2).reshape(*maximum.shape[:-1], *windows, x.shape[-1])
    order = [axis + move for axis in range(1, 1 + num_axes) for move in (0, num_axes)]
    return (stacked.transpose(0, *order, stacked.ndim - 1).reshape(x.shape),)


_pool.defvjp(_forward, _backward)
