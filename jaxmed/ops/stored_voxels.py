"""Voxels that travel to the device as they are stored, and their values there."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Num


def decode(
    stored: Num[Array, "batch *sites"], scaling: Float[Array, "batch 3"]
) -> Float[Array, "batch *sites"]:
    """Values of stored voxels, stored * scale + offset in float32.

    To be called first in the jitted step: int16 voxels take half the way to the device that float32 takes,
    and the compiler fuses the cast into what reads them.

    Args:
        stored: int16 or float32, (batch, *sites).
        scaling: scale and offset of each example, and the error of its storage, which is not used here.

    Returns:
        float32 values, (batch, *sites).
    """
    scale, offset = (scaling[:, place].reshape(-1, *[1] * (stored.ndim - 1)) for place in (0, 1))
    return stored.astype(jnp.float32) * scale + offset
