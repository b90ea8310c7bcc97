"""Radon transform by rotating the image with bilinear interpolation and summing its rows."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def project_by_rotation(
    images: Float[Array, "rows columns batch"], num_angles: int, num_detectors: int
) -> Float[Array, "angles num_detectors batch"]:
    """Sum the rows of the rotated image, as `skimage.transform.radon` with circle=False does.

    One angle at a time; each takes 4 * num_detectors**2 reads of the image. The images count as zero outside.
    """
    size = images.shape[0]
    # One pixel of zeros on each side, so that a clipped position reads zero.
    padded = jnp.pad(images, ((1, 2), (1, 2), (0, 0)))
    width = size + 3
    flat = padded.reshape(width * width, -1)
    offsets = np.arange(num_detectors, dtype=np.float32) - num_detectors // 2
    along, across = offsets[:, None], offsets[None, :]
    theta = np.arange(num_angles) * (np.pi / num_angles)
    trigonometry = np.stack([*_exact_factors(np.cos(theta)), *_exact_factors(np.sin(theta))], -1)

    def split(coarse, fine):
        shifted = jnp.clip(coarse + fine + float(size // 2 + 1), 0.0, float(size + 1))
        low = shifted.astype(jnp.int32)
        return low, (shifted - low.astype(jnp.float32))[..., None]

    def one_angle(factors):
        cos, fine_cos, sin, fine_sin = factors
        column, right = split(across * cos + along * sin, across * fine_cos + along * fine_sin)
        row, below = split(along * cos - across * sin, along * fine_cos - across * fine_sin)
        corner = row * width + column
        top = (1.0 - right) * flat[corner] + right * flat[corner + 1]
        bottom = (1.0 - right) * flat[corner + width] + right * flat[corner + width + 1]
        return ((1.0 - below) * top + below * bottom).sum(axis=0)

    return jax.lax.map(one_angle, trigonometry)


def _exact_factors(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers of 12 bits whose sum is the value, so that products with offsets below 4096 are exact.

    The compiler computes a position once for the index of a pixel and again for its weight, and may add with
    or without rounding the product first. Next to a whole number the two could differ, and the weight would
    belong to the neighbour; with exact products both ways give the same.
    """
    value = values.astype(np.float32)
    coarse = (value.view(np.uint32) & np.uint32(0xFFFFF000)).view(np.float32)
    return coarse, value - coarse
