"""Average pooling to a wanted size, whatever the size of the input."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def adaptive_average_pool(
    x: Float[Array, "batch *spatial channels"], shape: Sequence[int]
) -> Float[Array, "batch *pooled channels"]:
    """Means over windows that cover each spatial axis, one for each wanted element.

    Along an axis of n elements pooled to m, window i spans floor(i n / m) to ceil((i + 1) n / m), as in
    PyTorch's `adaptive_avg_pool`: windows overlap where m does not divide n, and repeat elements where m
    exceeds n.

    Args:
        x: (batch, *spatial, channels).
        shape: the wanted size of every spatial axis, 1 or more.

    Returns:
        (batch, *shape, channels) in the dtype of `x`.

    Raises:
        ValueError: `shape` has another length than the spatial axes, or a size below 1.
    """
    if len(shape) != x.ndim - 2 or min(shape) < 1:
        raise ValueError(f"shape: {tuple(shape)} for x of shape {x.shape}; wanted a size >= 1 for each axis")
    for axis, size in enumerate(shape, start=1):
        if size != x.shape[axis]:
            means = jnp.asarray(_windows(x.shape[axis], size), x.dtype)
            pooled = jnp.tensordot(x, means, (axis, 1), precision="highest")
            x = jnp.moveaxis(pooled, -1, axis)
    return x


def _windows(old: int, new: int) -> np.ndarray:
    """(new, old) weights; each row is the mean over its window."""
    index = np.arange(new)
    first, last = index * old // new, -(-(index + 1) * old // new)
    position = np.arange(old)
    inside = (position >= first[:, None]) & (position < last[:, None])
    return inside / inside.sum(1, keepdims=True)
