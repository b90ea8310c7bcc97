"""Max-pooling without reduce_window, whose gradient is about ten times slower on CPU."""

import itertools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


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
    return _pool(x)


def _windows(x: jax.Array) -> jax.Array:
    """Splits even spatial sizes: (batch, size / 2, 2, size / 2, 2, ..., channels)."""
    halves = [part for size in x.shape[1:-1] for part in (size // 2, 2)]
    return x.reshape(x.shape[0], *halves, x.shape[-1])


@jax.custom_vjp
def _pool(x: jax.Array) -> jax.Array:
    """Pools even sizes."""
    return _windows(x).max(axis=tuple(range(2, 2 * x.ndim - 3, 2)))


def _forward(x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    maximum = _pool(x)
    return maximum, (x, maximum)


def _backward(residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array]:
    x, maximum = residuals
    windows, num_spatial = _windows(x), x.ndim - 2
    taken = jnp.zeros(maximum.shape, bool)
    parts = []
    for offsets in itertools.product((0, 1), repeat=num_spatial):
        part = windows[(slice(None), *(item for offset in offsets for item in (slice(None), offset)))]
        first = (part == maximum) & ~taken
        taken |= first
        parts.append(jnp.where(first, gradient, jnp.zeros_like(gradient)))
    stacked = jnp.stack(parts, axis=-2).reshape(*maximum.shape[:-1], *(2,) * num_spatial, x.shape[-1])
    order = [axis for size in range(1, num_spatial + 1) for axis in (size, size + num_spatial)]
    return (stacked.transpose(0, *order, stacked.ndim - 1).reshape(x.shape),)


_pool.defvjp(_forward, _backward)
