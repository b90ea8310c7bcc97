"""Augmented copies of a small data set, made once before training."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxmed.augment import affine


def augment_copies(
    key: Key[Array, ""],
    images: Float[Array, "count height width channels"],
    num_copies: int,
    noise: float = 0.05,
) -> Float[Array, "copies height width channels"]:
    """Copies turned by up to 15 degrees, scaled and moved by up to a tenth, half of them flipped, and noisy.

    Args:
        key: of the draws.
        images: with values in [0, 1].
        num_copies: of each image.
        noise: standard deviation of what is added to every pixel before values are clipped to [0, 1].

    Returns:
        (num_copies * count, height, width, channels): the whole set, then the whole set again, and so on.
    """
    images = jnp.concatenate([images] * num_copies)
    key_affine, key_noise = jax.random.split(key)
    moves = affine.draw_affine(
        key_affine, len(images), max_degrees=15.0, max_shift=0.1, scale=(0.9, 1.1), flip_probability=0.5
    )
    moved = affine.apply_affine(images, moves)
    return jnp.clip(moved + noise * jax.random.normal(key_noise, moved.shape), 0, 1)
