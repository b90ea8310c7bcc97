"""Intensity augmentations of CT images, and the scalings they are used with.

Every augmentation is a draw and an application. A draw holds one value per example and `applied`, the
examples that it concerns; the others come back bit for bit. An example's draw depends on the key and on the
example's position in the global batch alone.

Reference: Saparov et al., Zero-Shot Domain Adaptation in CT Segmentation by Filtered Back Projection
Augmentation, section 2.2. The text gives no probability of application; its code has 1/2.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, Num

from jaxmed.ops.example_keys import example_keys
from jaxmed.types import PyTree


class GammaDraw(NamedTuple):
    """Attributes: gamma, (batch,) positive exponents; applied, (batch,)."""

    gamma: Float[Array, " batch"]
    applied: Bool[Array, " batch"]


class NoiseDraw(NamedTuple):
    """Attributes: noise, (batch, *sites) what is added; applied, (batch,)."""

    noise: Float[Array, "batch *sites"]
    applied: Bool[Array, " batch"]


class LinearDraw(NamedTuple):
    """Attributes: factor, (batch,); shift, (batch,)."""

    factor: Float[Array, " batch"]
    shift: Float[Array, " batch"]


class WindowDraw(NamedTuple):
    """Attributes: centre_hu, (batch,); width_hu, (batch,); applied, (batch,)."""

    centre_hu: Float[Array, " batch"]
    width_hu: Float[Array, " batch"]
    applied: Bool[Array, " batch"]


def draw_gamma(
    key: Key[Array, ""], batch_size: int, *, probability: float | Float[Array, ""], std: float = 0.2
) -> GammaDraw:
    """Draws exponents whose logarithm is normal with mean 0.

    Args:
        key: of the step.
        batch_size: number of examples that the caller holds.
        probability: of application, in [0, 1].
        std: standard deviation of log gamma; the text's N(0, 0.2) is read as one (its code has 0.1).

    Returns:
        The draw of every example.
    """

    def draw(key: jax.Array) -> jax.Array:
        return jnp.exp(std * jax.random.normal(key))

    return GammaDraw(*_draw_each(draw, key, batch_size, probability))


def apply_gamma(images: Float[Array, "batch *sites"], draw: GammaDraw) -> Float[Array, "batch *sites"]:
    """Raises images, scaled to [0, 1] by their own extremes, to the power gamma, and scales back.

    ((I - m) / (M - m))^gamma (M - m) + m with the minimum m and maximum M of each image; an image that is
    constant stays as it is.

    Args:
        images: (batch, *sites), any finite intensities.
        draw: from `draw_gamma`.

    Returns:
        Images of the same shape and, up to rounding, the same range.
    """
    axes = tuple(range(1, images.ndim))
    low, high = images.min(axes, keepdims=True), images.max(axes, keepdims=True)
    varied = high > low
    span = jnp.where(varied, high - low, 1)
    # Compiled together with what made the images, the minimum may be rounded above some of the pixels, and a
    # power of a negative number is not a number.
    unit = jnp.clip((images - low) / span, 0, 1)
    powered = unit ** _per_example(draw.gamma, images)
    transformed = (powered * span + low).astype(images.dtype)
    return jnp.where(_per_example(draw.applied, images) & varied, transformed, images)


def draw_noise(
    key: Key[Array, ""], shape: Sequence[int], *, probability: float | Float[Array, ""], std: float = 0.1
) -> NoiseDraw:
    """Draws white Gaussian noise.

    Args:
        key: of the step.
        shape: (batch, *sites), of the images that the caller holds.
        probability: of application, in [0, 1].
        std: standard deviation, in the units of the images; the text's N(0, 0.1), read as one, goes with
            images in [0, 1].

    Returns:
        The draw of every example.
    """

    def draw(key: jax.Array) -> jax.Array:
        return std * jax.random.normal(key, tuple(shape[1:]))

    return NoiseDraw(*_draw_each(draw, key, shape[0], probability))


def add_noise(images: Float[Array, "batch *sites"], draw: NoiseDraw) -> Float[Array, "batch *sites"]:
    """Adds the noise of `draw` to the images (batch, *sites); nothing is clipped."""
    noisy = images + draw.noise.astype(images.dtype)
    return jnp.where(_per_example(draw.applied, images), noisy, images)


def draw_linear(
    key: Key[Array, ""], batch_size: int, *, max_contrast: float, max_brightness: float
) -> LinearDraw:
    """Draws changes of contrast and brightness, both uniform.

    Args:
        key: of the step.
        batch_size: number of examples that the caller holds.
        max_contrast: factors lie in [1 - max_contrast, 1 + max_contrast].
        max_brightness: shifts lie in [-max_brightness, max_brightness], in the units of the images.

    Returns:
        The draw of every example.
    """

    def draw(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        factor, shift = jax.random.uniform(key, (2,), minval=-1.0)
        return 1 + max_contrast * factor, max_brightness * shift

    return LinearDraw(*jax.vmap(draw)(example_keys(key, batch_size)))


def apply_linear(images: Float[Array, "batch *sites"], draw: LinearDraw) -> Float[Array, "batch *sites"]:
    """Multiplies images (batch, *sites) by the factor of `draw` and adds its shift; nothing is clipped."""
    changed = images * _per_example(draw.factor, images) + _per_example(draw.shift, images)
    return changed.astype(images.dtype)


def draw_window(
    key: Key[Array, ""],
    batch_size: int,
    *,
    probability: float | Float[Array, ""],
    centre_hu: tuple[float, float] = (-700.0, -500.0),
    width_hu: tuple[float, float] = (1300.0, 1700.0),
) -> WindowDraw:
    """Draws the centre and the width of a display window, both uniform.

    Args:
        key: of the step.
        batch_size: number of examples that the caller holds.
        probability: of application, in [0, 1].
        centre_hu: bounds of the centre, in HU.
        width_hu: bounds of the width, in HU.

    Returns:
        The draw of every example.
    """

    def draw(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        centre_key, width_key = jax.random.split(key)
        centre = jax.random.uniform(centre_key, minval=centre_hu[0], maxval=centre_hu[1])
        return centre, jax.random.uniform(width_key, minval=width_hu[0], maxval=width_hu[1])

    (centre, width), applied = _draw_each(draw, key, batch_size, probability)
    return WindowDraw(centre, width, applied)


def apply_window(images_hu: Float[Array, "batch *sites"], draw: WindowDraw) -> Float[Array, "batch *sites"]:
    """Clips images in HU, (batch, *sites), to centre - width / 2 and centre + width / 2 of the draw."""
    lower = _per_example(draw.centre_hu - draw.width_hu / 2, images_hu)
    upper = _per_example(draw.centre_hu + draw.width_hu / 2, images_hu)
    clipped = jnp.clip(images_hu, lower, upper).astype(images_hu.dtype)
    return jnp.where(_per_example(draw.applied, images_hu), clipped, images_hu)


def window_to_unit(images_hu: Float[Array, "*sites"], lower: float, upper: float) -> Float[Array, "*sites"]:
    """Clips images to [lower, upper] and maps this range linearly to [0, 1].

    Args:
        images_hu: images of any shape, in HU.
        lower: what becomes 0, in HU.
        upper: what becomes 1, in HU.

    Returns:
        Images in [0, 1] of the same shape.

    Raises:
        ValueError: `upper` does not exceed `lower`.
    """
    if not upper > lower:
        raise ValueError(f"upper: {upper}; wanted more than lower, {lower}")
    # In the type of the images, so that the largest value divides to 1 and not to just above it.
    low, high = (jnp.asarray(bound, images_hu.dtype) for bound in (lower, upper))
    return (jnp.clip(images_hu, low, high) - low) / (high - low)


def normalise_by(
    images_hu: Num[Array, "batch *sites"], intensity: Float[Array, "batch 4"] | Float[Array, "1 4"]
) -> Float[Array, "batch *sites"]:
    """Clips to two bounds, then subtracts a mean and divides by a deviation that come from a whole data set.

    Args:
        images_hu: (batch, *sites), in HU.
        intensity: low, high, mean and deviation in HU, for each image or for all
            (`data_pipelines.foreground_intensity`).

    Returns:
        As `images_hu`, float32.

    Reference: Isensee et al., nnU-Net, 2018, normalisation of CT.
    """
    values = images_hu.astype(jnp.float32)
    shape = (-1, *(1,) * (values.ndim - 1))
    low, high, mean, std = (
        jnp.broadcast_to(part.reshape(shape), values.shape) for part in jnp.moveaxis(intensity, -1, 0)
    )
    return (jnp.clip(values, low, high) - mean) / std


def standardise(images: Float[Array, "batch *sites"]) -> Float[Array, "batch *sites"]:
    """Subtracts the mean of every image and divides by its standard deviation, in float32.

    The standard deviation is that of a population (divisor: number of elements). Nothing is added to it; a
    constant image becomes 0.

    Args:
        images: (batch, *sites), any finite intensities.

    Returns:
        (batch, *sites), float32, each image with mean 0 and standard deviation 1.
    """
    axes = tuple(range(1, images.ndim))
    images = images.astype(jnp.float32)
    # Relative to its first element a constant image is exactly 0, whatever the rounding of a mean.
    images = images - images[(slice(None), *(slice(1),) * len(axes))]
    centred = images - images.mean(axes, keepdims=True)
    std = jnp.sqrt(jnp.square(centred).mean(axes, keepdims=True))
    return centred / jnp.where(std > 0, std, 1)


def _draw_each(
    draw: Callable, key: jax.Array, batch_size: int, probability: float | jax.Array
) -> tuple[PyTree, jax.Array]:
    """Calls `draw` with a key of each example, and draws which examples the result is applied to."""

    def draw_one(key: jax.Array) -> tuple[PyTree, jax.Array]:
        value_key, applied_key = jax.random.split(key)
        return draw(value_key), jax.random.bernoulli(applied_key, probability)

    return jax.vmap(draw_one)(example_keys(key, batch_size))


def _per_example(values: jax.Array, images: jax.Array) -> jax.Array:
    """Shapes (batch,) to (batch, 1, ...) for the axes of `images`."""
    return values.reshape(-1, *(1,) * (images.ndim - 1))
