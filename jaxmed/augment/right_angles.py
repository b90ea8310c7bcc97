"""Rotations by right angles and flips: the symmetries of the square pixel grid, without interpolation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, Shaped

from jaxmed.ops.example_keys import example_keys


class RightAngleDraw(NamedTuple):
    """A symmetry of the square for each example: the rotation first, then the flips.

    Attributes:
        quarter_turns: (batch,) 0 to 3, anticlockwise as displayed with height downwards.
        flip_height: (batch,) whether rows change places, top and bottom.
        flip_width: (batch,) whether columns change places, left and right.
    """

    quarter_turns: Int[Array, " batch"]
    flip_height: Bool[Array, " batch"]
    flip_width: Bool[Array, " batch"]


def draw_right_angle(
    key: Key[Array, ""], batch_size: int, probability: float | Float[Array, ""] = 0.5
) -> RightAngleDraw:
    """Draws, with a probability, a rotation by a multiple of 90 degrees and flips.

    Where drawn, all eight symmetries of the square (the identity is one) are equally likely; elsewhere the
    draw is the identity. An example's draw depends on the key and on its position in the global batch alone.

    Args:
        key: of the step.
        batch_size: number of examples that the caller holds.
        probability: of drawing a symmetry, in [0, 1].

    Returns:
        The draw of every example.

    Reference: Saparov et al., Zero-Shot Domain Adaptation in CT Segmentation by Filtered Back Projection
    Augmentation, section 2.2: "with probability 0.5 we rotate an image by multiply of 90 degrees and flip an
    image horizontally or vertically", read as a uniform number of quarter turns and one fair coin for each
    flip. differs: the released code draws 0 to 2 quarter turns and flips one axis in half of the cases.
    """

    def draw(key: jax.Array) -> RightAngleDraw:
        applied_key, turns_key, flips_key = jax.random.split(key, 3)
        applied = jax.random.bernoulli(applied_key, probability)
        turns = jax.random.randint(turns_key, (), 0, 4, dtype=jnp.int32)
        flips = jax.random.bernoulli(flips_key, shape=(2,)) & applied
        return RightAngleDraw(jnp.where(applied, turns, 0), flips[0], flips[1])

    return jax.vmap(draw)(example_keys(key, batch_size))


def apply_right_angle(
    images: Shaped[Array, "batch height width *channels"], draw: RightAngleDraw
) -> Shaped[Array, "batch height width *channels"]:
    """Rotates and flips the images; only moves values, so that masks stay masks.

    Every rotation is a transposition, or none, and two flips: three selections, no gather.

    Args:
        images: square, (batch, n, n) or (batch, n, n, channels), of any dtype.
        draw: from `draw_right_angle`; the same for an image and its mask.

    Returns:
        Images of the same shape and dtype.

    Raises:
        ValueError: the images are not square.
    """
    if images.shape[1] != images.shape[2]:
        raise ValueError(f"images: shape {images.shape}; wanted equal height and width")
    turns = draw.quarter_turns % 4
    flip_height = ((turns == 1) | (turns == 2)) ^ draw.flip_height
    flip_width = (turns >= 2) ^ draw.flip_width
    images = _where(turns % 2 == 1, jnp.swapaxes(images, 1, 2), images)
    images = _where(flip_height, images[:, ::-1], images)
    return _where(flip_width, images[:, :, ::-1], images)


def _where(chosen: jax.Array, images: jax.Array, otherwise: jax.Array) -> jax.Array:
    """Selects by example."""
    return jnp.where(chosen.reshape(-1, *(1,) * (images.ndim - 1)), images, otherwise)
