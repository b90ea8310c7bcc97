"""Max-pooling without reduce_window, whose gradient is about ten times slower on CPU."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmed.ops import polyphase

_VOLUME_RANK = 5  # batch, depth, height, width, channels


def max_pool(
    x: Float[Array, "batch *spatial channels"], *, ceil_mode: bool = False
) -> Float[Array, "batch *pooled channels"]:
    """Maximum over windows of 2 with stride 2 along every spatial axis.

    The gradient of a window goes to its first maximum in scan order (row by row), as in XLA's
    select-and-scatter and in PyTorch. A window that holds NaN gives NaN and passes no gradient on.

    Derivatives are reverse mode, of any order; forward mode (`jax.jvp`, `jax.hessian`) is refused by JAX
    because the gradient is a `custom_vjp`.

    Args:
        x: (batch, *spatial, channels), with one or more spatial axes.
        ceil_mode: what an odd size n becomes: (n + 1) / 2 with a last window of what is left (True), or
            (n - 1) / 2 without the last element (False).

    Returns:
        (batch, *pooled, channels) of the dtype of `x`.

    Raises:
        ValueError: `x` has no spatial axis, or one of size 1 would vanish (`ceil_mode=False`).
    """
    spatial = x.shape[1:-1]
    if not spatial or (min(spatial) < 2 and not ceil_mode):
        raise ValueError(
            f"x: shape {x.shape}; wanted (batch, *spatial, channels) with spatial sizes of 2 or more"
        )
    odd = [size % 2 for size in spatial]
    if any(odd) and ceil_mode:
        x = jnp.pad(x, [(0, 0), *((0, rest) for rest in odd), (0, 0)], constant_values=-math.inf)
    elif any(odd):
        x = x[(slice(None), *(slice(size - rest) for size, rest in zip(spatial, odd, strict=True)))]
    return _pool_depth(_pool(x, 2)) if x.ndim == _VOLUME_RANK else _pool(x, 1)


def _pool_depth(x: jax.Array) -> jax.Array:
    """Pools the first spatial axis, which may be split over devices and stays so at every size."""
    first, second = (polyphase.component(x, 1, 2, offset) for offset in (0, 1))
    return jnp.where((first >= second) | jnp.isnan(first), first, second)


def _windows(x: jax.Array, num_leading: int) -> jax.Array:
    """Splits the even sizes after the leading axes: (*leading, size / 2, 2, size / 2, 2, ..., channels)."""
    halves = [part for size in x.shape[num_leading:-1] for part in (size // 2, 2)]
    return x.reshape(*x.shape[:num_leading], *halves, x.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _pool(x: jax.Array, num_leading: int) -> jax.Array:
    """Pools the axes between the leading ones and the channels, all of even size."""
    windows = _windows(x, num_leading)
    return windows.max(axis=tuple(range(num_leading + 1, windows.ndim - 1, 2)))


def _forward(x: jax.Array, num_leading: int) -> tuple:
    maximum = _pool(x, num_leading)
    return maximum, (x, maximum)


def _backward(num_leading: int, residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple:
    x, maximum = residuals
    windows, num_pooled = _windows(x, num_leading), x.ndim - 1 - num_leading
    taken = jnp.zeros(maximum.shape, bool)
    parts = []
    for offsets in itertools.product((0, 1), repeat=num_pooled):
        inside = (item for offset in offsets for item in (slice(None), offset))
        part = windows[(*(slice(None),) * num_leading, *inside)]
        first = (part == maximum) & ~taken
        taken |= first
        parts.append(jnp.where(first, gradient, jnp.zeros_like(gradient)))
    stacked = jnp.stack(parts, axis=-2).reshape(*maximum.shape[:-1], *(2,) * num_pooled, x.shape[-1])
    leading = range(num_leading)
    order = [axis + move for axis in range(num_leading, x.ndim - 1) for move in (0, num_pooled)]
    return (stacked.transpose(*leading, *order, stacked.ndim - 1).reshape(x.shape),)


_pool.defvjp(_forward, _backward)
