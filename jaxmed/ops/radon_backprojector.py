"""Sums over angles with the weights of `radon_footprint`: the transposes of the line integrals."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmed.ops import radon_footprint

_VIEWS_PER_STEP = 12


def backproject(
    views: Float[Array, "base detectors orientations batch"],
    cosines: np.ndarray,
    sines: np.ndarray,
    size: int,
    footprint: radon_footprint.Footprint,
) -> Float[Array, "size size orientations batch"]:
    """Transpose of `radon_projector.project`: every pixel sums the two detectors beside its projection.

    A scan over blocks of angles. Detectors outside the row count as zero.
    """
    num_base, num_detectors = views.shape[:2]
    num_steps = -(-num_base // _VIEWS_PER_STEP)
    block_size = -(-num_base // num_steps)
    fill = (0, num_steps * block_size - num_base)
    slopes = 1.0 / radon_footprint.half_widths(cosines, footprint)
    geometry = np.pad(np.stack([cosines, sines, slopes], -1).astype(np.float32), (fill, (0, 0)))
    scaled = views * radon_footprint.inverse_widths(cosines, footprint)
    padded = jnp.pad(scaled, (fill, (1, 2), (0, 0), (0, 0)))
    blocks = padded.reshape(num_steps, block_size, *padded.shape[1:])
    columns, rows = radon_footprint.offsets(size)[None, :], radon_footprint.offsets(size)[:, None]
    rays = jnp.asarray(geometry.reshape(num_steps, block_size, 3))

    def add_block(image, block, number):
        for view in range(block_size):
            cos, sin, slope = rays[number, view]
            position = columns * cos - rows * sin + float(num_detectors // 2 + 1)
            position = jnp.clip(position, 0.0, float(num_detectors + 1))
            first = position.astype(jnp.int32)
            fraction = position - first.astype(jnp.float32)
            weights = [jnp.maximum(0.0, 1.0 - slope * distance) for distance in (fraction, 1.0 - fraction)]
            image = radon_footprint.add_taps(block[view], first, weights, image)
        return image

    return radon_footprint.accumulate(add_block, (size, size), blocks)
