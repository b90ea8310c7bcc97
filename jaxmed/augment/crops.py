"""Random crops and left-right flips by whole pixels, without interpolation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key, Shaped

from jaxmed.ops.example_keys import example_keys


class CropDraw(NamedTuple):
    """Where each example is cropped.

    Attributes:
        start: (batch, 2) first row and column of the crop.
        flip_width: (batch,) whether left and right change places.
    """

    start: Int[Array, "batch 2"]
    flip_width: Bool[Array, " batch"]


def draw_crop(
    key: Key[Array, ""], batch_size: int, room: tuple[int, int], *, flip_probability: float = 0.0
) -> CropDraw:
    """Draws a crop's place uniformly, and a flip.

    An example's draw depends on the key and on its position in the global batch alone.

    Args:
        key: of the step.
        batch_size: number of examples that the caller holds.
        room: by how many rows and columns the (padded) image is larger than the crop.
        flip_probability: of the flip.

    Returns:
        The draw of every example.
    """

    def draw(key: jax.Array) -> CropDraw:
        key_start, key_flip = jax.random.split(key)
        start = jax.random.randint(key_start, (2,), 0, jnp.array(room) + 1, jnp.int32)
        return CropDraw(start, jax.random.bernoulli(key_flip, flip_probability))

    return jax.vmap(draw)(example_keys(key, batch_size))


def apply_crop(
    images: Shaped[Array, "batch height width *channels"], draw: CropDraw, size: tuple[int, int]
) -> Shaped[Array, "batch crop_height crop_width *channels"]:
    """Cuts out and flips.

    Args:
        images: (batch, height, width) or (batch, height, width, channels), padded where crops shall reach
            over the edge.
        draw: from `draw_crop`.
        size: height and width of the crops.

    Returns:
        Crops of the images' dtype.
    """

    def crop(image: jax.Array, start: jax.Array, flip: jax.Array) -> jax.Array:
        starts = (start[0], start[1], *[0] * (image.ndim - 2))
        cut = jax.lax.dynamic_slice(image, starts, (*size, *image.shape[2:]))
        return jnp.where(flip, cut[:, ::-1], cut)

    return jax.vmap(crop)(images, *draw)


def crop_centre(
    images: Shaped[Array, "batch height width *channels"], size: tuple[int, int]
) -> Shaped[Array, "batch crop_height crop_width *channels"]:
    """Cuts out the middle; where that is between two places, the upper or left one.

    Args:
        images: (batch, height, width) or (batch, height, width, channels).
        size: height and width of the crops.

    Returns:
        Crops of the images' dtype.
    """
    top, left = ((images.shape[axis] - size[axis - 1]) // 2 for axis in (1, 2))
    return images[:, top : top + size[0], left : left + size[1]]


def pad_images(
    images: Shaped[Array, "batch height width *channels"], padding: int
) -> Shaped[Array, "batch padded_height padded_width *channels"]:
    """Puts `padding` rows and columns of zeros around images."""
    return jnp.pad(images, [(0, 0), (padding, padding), (padding, padding), *[(0, 0)] * (images.ndim - 3)])
