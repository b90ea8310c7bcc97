"""Images or volumes with label maps, augmented together: in place, then in intensity."""

import jax
from jaxtyping import Array, Float, Int, Key

from jaxmed.augment import affine, affine_volumes, intensity

_PROBABILITY = 0.5


def augment_labelled(
    key: Key[Array, ""],
    images: Float[Array, "batch *spatial"],
    labels: Int[Array, "batch *spatial"],
    spacing_mm: Float[Array, "batch 3"] | None,
    unknown: int,
    *,
    max_degrees: float,
    max_scale: float,
    strength: float,
) -> tuple[Float[Array, "batch *spatial"], Int[Array, "batch *spatial"]]:
    """Turns, scales and flips images with their labels, then changes contrast, brightness, gamma and noise.

    Rotation, scale and flips (about one axis of an image, each of a volume, with probability 1/2) are one
    interpolation, linear for images, nearest for labels. Gamma and noise come with probability 1/2.

    Args:
        key: of the step.
        images: (batch, height, width), or (batch, depth, height, width) with `spacing_mm`; standardised.
        labels: the same shape, signed integers.
        spacing_mm: of the voxels of volumes; None for images.
        unknown: label of what comes from outside, where images have 0.
        max_degrees: bound of the angle.
        max_scale: magnifications lie between 1 over this and this.
        strength: bound of the changes of contrast and brightness, and standard deviation of the noise and of
            the logarithm of gamma.

    Returns:
        Images and labels of the same shapes.

    Reference: Laprade et al., How Few Annotations are Needed for Segmentation Using a Multi-planar U-Net?,
    section 2, which gives no ranges.
    """
    count = len(images)
    key_place, key_linear, key_gamma, key_noise = jax.random.split(key, 4)
    if spacing_mm is None:
        bounds = {"max_degrees": max_degrees, "scale": (1 / max_scale, max_scale)}
        draw = affine.draw_affine(key_place, count, flip_probability=_PROBABILITY, **bounds)
        images = affine.apply_affine(images, draw)
        labels = affine.apply_affine(labels, draw, order=0, fill=float(unknown))
    else:
        bounds = {"max_degrees": max_degrees, "max_scale": max_scale}
        maps = affine_volumes.draw_linear_maps(key_place, count, flip_probability=_PROBABILITY, **bounds)
        images = affine_volumes.apply_linear_maps(images, spacing_mm, maps)
        labels = affine_volumes.apply_linear_maps(labels, spacing_mm, maps, order=0, fill=unknown)
    linear = intensity.draw_linear(key_linear, count, max_contrast=strength, max_brightness=strength)
    images = intensity.apply_linear(images, linear)
    images = intensity.apply_gamma(
        images, intensity.draw_gamma(key_gamma, count, probability=_PROBABILITY, std=strength)
    )
    noise = intensity.draw_noise(key_noise, images.shape, probability=_PROBABILITY, std=strength)
    return intensity.add_noise(images, noise), labels
