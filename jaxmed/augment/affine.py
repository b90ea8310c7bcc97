"""Random affine transforms of images: rotation, shift, scale, shear, flips, and resized crops.

A draw holds one map per example, from the pixels of the result back to positions in the image, so that
several transforms cost one interpolation. An example's draw depends on the key and on the example's position
in the global batch alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import ndimage
from jaxtyping import Array, Float, Key, Num

from jaxmed.ops.example_keys import example_keys


class AffineDraw(NamedTuple):
    """Where each example's result takes its pixels from.

    The pixel of the result at offset o from the centre shows the image at linear (o + shift size) from the
    centre, in pixels; size is the image's (height, width).

    Attributes:
        linear: (batch, 2, 2), on (height, width) offsets.
        shift: (batch, 2), in image heights and widths.
    """

    linear: Float[Array, "batch 2 2"]
    shift: Float[Array, "batch 2"]


def draw_affine(
    key: Key[Array, ""],
    batch_size: int,
    *,
    max_degrees: float = 0.0,
    max_shift: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    max_shear_degrees: float = 0.0,
    flip_probability: float = 0.0,
) -> AffineDraw:
    """Draws rotation, shift, scale, shear and horizontal flip, each independently and uniformly.

    An image is flipped left-right, sheared along its width, scaled, turned about its centre, then moved.

    Args:
        key: of the step.
        batch_size: number of examples that the caller holds.
        max_degrees: rotations lie in [-max_degrees, max_degrees], anticlockwise as displayed with height
            downwards.
        max_shift: shifts along each axis lie in [-max_shift, max_shift] image sizes.
        scale: bounds of the magnification, the same along both axes.
        max_shear_degrees: bound of the angle of the shear.
        flip_probability: of the flip.

    Returns:
        The draw of every example.
    """

    def draw(key: jax.Array) -> AffineDraw:
        turn_key, shift_key, scale_key, shear_key, flip_key = jax.random.split(key, 5)
        angle = _symmetric(turn_key, jnp.deg2rad(max_degrees))
        magnification = jax.random.uniform(scale_key, minval=scale[0], maxval=scale[1])
        shear = jnp.tan(_symmetric(shear_key, jnp.deg2rad(max_shear_degrees)))
        flip = jnp.where(jax.random.bernoulli(flip_key, flip_probability), -1.0, 1.0)
        unshear = jnp.array([[1.0, 0.0], [-shear, 1.0]])
        unflip = jnp.array([[1.0, 0.0], [0.0, flip]])
        # From the result back: each inverse, in the opposite order.
        linear = unflip @ unshear @ _turn_back(angle) / magnification
        shift = -jax.random.uniform(shift_key, (2,), minval=-max_shift, maxval=max_shift)
        return AffineDraw(linear, shift)

    return _draw_each(draw, key, batch_size)


def draw_rotated_crop(
    key: Key[Array, ""],
    batch_size: int,
    *,
    max_degrees: float = 0.0,
    area: tuple[float, float] = (0.3, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> AffineDraw:
    """Draws a rotation about the centre and then a crop of random area and aspect, stretched to full size.

    The crop's share of the area is uniform, the logarithm of width over height (relative to the image's own)
    is uniform, and so is its position within the image.

    Args:
        key: of the step.
        batch_size: number of examples that the caller holds.
        max_degrees: rotations lie in [-max_degrees, max_degrees].
        area: bounds of the crop's share of the image's area, in (0, 1].
        aspect: bounds of its width over height, positive.

    Returns:
        The draw of every example.

    differs: a crop that does not fit the image is cut to it; torchvision's RandomResizedCrop draws again.
    """

    def draw(key: jax.Array) -> AffineDraw:
        turn_key, area_key, aspect_key, place_key = jax.random.split(key, 4)
        share = jax.random.uniform(area_key, minval=area[0], maxval=area[1])
        log_aspect = jax.random.uniform(aspect_key, minval=jnp.log(aspect[0]), maxval=jnp.log(aspect[1]))
        root = jnp.exp(log_aspect / 2)
        sides = jnp.minimum(jnp.sqrt(share) * jnp.stack([1 / root, root]), 1.0)
        place = jax.random.uniform(place_key, (2,), minval=-0.5, maxval=0.5) * (1 - sides)
        turn = _turn_back(_symmetric(turn_key, jnp.deg2rad(max_degrees)))
        return AffineDraw(turn * sides[None, :], place / sides)

    return _draw_each(draw, key, batch_size)


def apply_affine(
    images: Num[Array, "batch height width *channels"],
    draw: AffineDraw,
    *,
    order: int = 1,
    fill: float = 0.0,
) -> Num[Array, "batch height width *channels"]:
    """Resamples images as drawn; what comes from outside the image has the value `fill`.

    Pixels lie at their centres. Order 0 takes the nearest pixel and keeps the values of masks; order 1
    interpolates linearly, at the rim between the image and `fill`.

    Args:
        images: (batch, height, width) or (batch, height, width, channels); integers are kept for order 0
            and rounded for order 1.
        draw: from a `draw_...` function; the same for an image and its mask.
        order: 0 or 1.
        fill: value outside.

    Returns:
        Images of the same shape and dtype.

    Raises:
        ValueError: another order.
    """
    if order not in (0, 1):
        raise ValueError(f"order: {order}; wanted 0 or 1")
    size = jnp.array(images.shape[1:3], jnp.float32)
    rows, columns = (jnp.arange(n) - (n - 1) / 2 for n in images.shape[1:3])
    offsets = jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"))

    def sample(image: jax.Array, positions: jax.Array) -> jax.Array:
        return ndimage.map_coordinates(image, list(positions), order, mode="constant", cval=fill)

    def transform(image: jax.Array, one: AffineDraw) -> jax.Array:
        moved = offsets + (one.shift * size)[:, None, None]
        positions = jnp.tensordot(one.linear, moved, 1, precision="highest")
        positions += ((size - 1) / 2)[:, None, None]
        if image.ndim == 2:
            return sample(image, positions)
        return jax.vmap(sample, in_axes=(-1, None), out_axes=-1)(image, positions)

    return jax.vmap(transform)(images, draw).astype(images.dtype)


def _draw_each(draw: Callable[[jax.Array], AffineDraw], key: jax.Array, batch_size: int) -> AffineDraw:
    return jax.vmap(draw)(example_keys(key, batch_size))


def _symmetric(key: jax.Array, bound: jax.Array) -> jax.Array:
    return jax.random.uniform(key, minval=-bound, maxval=bound)


def _turn_back(angle: jax.Array) -> jax.Array:
    """On (height, width) offsets, the inverse of an anticlockwise turn by `angle` as displayed."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cos, sin]), jnp.stack([-sin, cos])])
