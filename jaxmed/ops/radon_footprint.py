"""Line integrals and back-projections with hat-shaped footprints, for angles in [0, pi/4], batch last.

The pixel in row offset y (downwards) and column offset x from the centre lies at detector position
x cos(theta) - y sin(theta). Detector t sees it with weight max(0, 1 - |x cos - y sin - t| / h) / h. The half
width h decides the method: h = cos(theta) is linear interpolation along the row (Joseph's projector), h = 1
linear interpolation along the detector (the pixel-driven back-projector). Both directions are written as
gathers, so either one is the transpose of the other without a scatter.
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Footprint = Literal["joseph", "pixel"]
"""Half width of the weights: cos(theta), or 1."""

_NUM_TAPS = {"joseph": 2, "pixel": 3}  # pixels of a row within h of a ray
_ROWS_PER_STEP = 8
_VIEWS_PER_STEP = 12
_ANGLES_PER_CHUNK = 4


def _half_widths(cosines: np.ndarray, footprint: Footprint) -> np.ndarray:
    return cosines if footprint == "joseph" else np.ones_like(cosines)


def _inverse_widths(cosines: np.ndarray, footprint: Footprint) -> np.ndarray:
    return (1.0 / _half_widths(cosines, footprint)).astype(np.float32)[:, None, None, None]


def _row_geometry(cosines: np.ndarray, sines: np.ndarray, footprint: Footprint) -> np.ndarray:
    """Columns between neighbouring detectors, and between rows, and the slope and radius of the weights."""
    slopes = cosines / _half_widths(cosines, footprint)
    return np.stack([1.0 / cosines, sines / cosines, slopes, 1.0 / slopes], -1).astype(np.float32)


def _row_taps(geometry, rows, detectors, size: int, footprint: Footprint):
    """First column and weights of the pixels that each detector sees in each row.

    Columns count from the left edge of an image of odd size with as many zero columns as taps on both sides.
    There are no divisions, so that the compiler repeats this arithmetic inside the loop over the pixels
    rather than storing its results, which would keep that loop from being vectorised.
    """
    num_taps = _NUM_TAPS[footprint]
    secants, tangents, slopes, radii = (geometry[..., column] for column in range(4))
    start = detectors * secants + rows * tangents + (float(size // 2 + num_taps + 1) - radii)
    start = jnp.clip(start, 0.0, float(size + num_taps))
    first = start.astype(jnp.int32)
    before = start - first.astype(jnp.float32) - 1.0 + radii
    return first, [jnp.maximum(0.0, 1.0 - slopes * jnp.abs(tap - before)) for tap in range(num_taps)]


def _weighted_taps(lines, first, weights, total):
    """Add weights * lines[first + tap] over the taps to total; lines are (columns, ...) and batch last."""
    reach = lines.shape[0] - len(weights) + 1
    for tap, weight in enumerate(weights):
        # One window per tap keeps the index, and so its bounds check, common to all taps.
        values = lines[tap : tap + reach].at[first].get(mode="promise_in_bounds")
        total = total + weight[..., None, None] * values
    return total


def _accumulate(add_block, shape, blocks):
    """Sum over the blocks, starting from zeros of the given shape and the blocks' last two axes.

    The block travels in the carry: a slice taken in the step would be fused into the gathers, which would
    keep their loop from being vectorised (four times slower).
    """

    def step(number, carry):
        total, block = carry
        total = add_block(total, block, number)
        return total, jax.lax.dynamic_index_in_dim(blocks, number + 1, keepdims=False)

    # The corner of the padding, rather than new zeros, varies over the devices as the blocks do.
    zeros = jnp.broadcast_to(blocks[0, 0, 0], (*shape, *blocks.shape[3:]))
    return jax.lax.fori_loop(0, blocks.shape[0], step, (zeros, blocks[0]))[0]


def _offsets(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float32) - count // 2


def project_by_rows(
    images: Float[Array, "size size orientations batch"],
    cosines: np.ndarray,
    sines: np.ndarray,
    num_detectors: int,
    footprint: Footprint,
) -> Float[Array, "base num_detectors orientations batch"]:
    """Scan over blocks of rows: rows stay in the cache and the sums of all detectors pass through it once.

    The form for CPUs. Eight rows at a time take half the time of one row at a time.
    """
    size = images.shape[0]
    num_taps = _NUM_TAPS[footprint]
    num_steps = -(-size // _ROWS_PER_STEP)
    extra = num_steps * _ROWS_PER_STEP - size
    padded = jnp.pad(images, ((0, extra), (num_taps, num_taps), (0, 0), (0, 0)))
    blocks = padded.reshape(num_steps, _ROWS_PER_STEP, *padded.shape[1:])
    detectors = _offsets(num_detectors)[None, :]
    geometry = _row_geometry(cosines, sines, footprint)[:, None]

    def add_block(sums, block, number):
        top = (number * _ROWS_PER_STEP - size // 2).astype(jnp.float32)
        for row in range(_ROWS_PER_STEP):
            first, weights = _row_taps(geometry, top + float(row), detectors, size, footprint)
            sums = _weighted_taps(block[row], first, weights, sums)
        return sums

    sums = _accumulate(add_block, (cosines.size, num_detectors), blocks)
    return sums * _inverse_widths(cosines, footprint)


def project_by_angles(
    images: Float[Array, "size size orientations batch"],
    cosines: np.ndarray,
    sines: np.ndarray,
    num_detectors: int,
    footprint: Footprint,
) -> Float[Array, "base num_detectors orientations batch"]:
    """Loop over chunks of angles with the sum over the rows fused into the gathers: no sums in memory.

    The form for accelerators.
    """
    size = images.shape[0]
    num_taps = _NUM_TAPS[footprint]
    padded = jnp.pad(images, ((0, 0), (num_taps, num_taps), (0, 0), (0, 0)))
    width = padded.shape[1]
    flat = padded.reshape(size * width, *padded.shape[2:])
    chunks = math.ceil(cosines.size / _ANGLES_PER_CHUNK)
    fill = (0, chunks * _ANGLES_PER_CHUNK - cosines.size)
    geometry = np.pad(_row_geometry(cosines, sines, footprint), (fill, (0, 0)))
    rows, detectors = _offsets(size)[None, :, None], _offsets(num_detectors)[None, None, :]

    def one_chunk(chunk):
        first, weights = _row_taps(chunk[:, None, None], rows, detectors, size, footprint)
        first = first + width * np.arange(size)[None, :, None]
        return jnp.sum(_weighted_taps(flat, first, weights, 0.0), axis=1)

    sums = jax.lax.map(one_chunk, geometry.reshape(chunks, _ANGLES_PER_CHUNK, 4))
    sums = sums.reshape(-1, num_detectors, *images.shape[2:])[: cosines.size]
    return sums * _inverse_widths(cosines, footprint)


def project(
    images: Float[Array, "size size orientations batch"],
    cosines: np.ndarray,
    sines: np.ndarray,
    num_detectors: int,
    footprint: Footprint,
) -> Float[Array, "base num_detectors orientations batch"]:
    """Line integrals of images of odd size, in the form that suits the default backend."""
    form = project_by_rows if jax.default_backend() == "cpu" else project_by_angles
    return form(images, cosines, sines, num_detectors, footprint)


def backproject(
    views: Float[Array, "base detectors orientations batch"],
    cosines: np.ndarray,
    sines: np.ndarray,
    size: int,
    footprint: Footprint,
) -> Float[Array, "size size orientations batch"]:
    """Transpose of `project`: every pixel sums the two detectors beside its projection, over the angles.

    A scan over blocks of angles. Detectors outside the row count as zero.
    """
    num_base, num_detectors = views.shape[:2]
    num_steps = -(-num_base // _VIEWS_PER_STEP)
    block_size = -(-num_base // num_steps)
    fill = (0, num_steps * block_size - num_base)
    slopes = 1.0 / _half_widths(cosines, footprint)
    geometry = np.pad(np.stack([cosines, sines, slopes], -1).astype(np.float32), (fill, (0, 0)))
    padded = jnp.pad(views * _inverse_widths(cosines, footprint), (fill, (1, 2), (0, 0), (0, 0)))
    blocks = padded.reshape(num_steps, block_size, *padded.shape[1:])
    columns, rows = _offsets(size)[None, :], _offsets(size)[:, None]
    rays = jnp.asarray(geometry.reshape(num_steps, block_size, 3))

    def add_block(image, block, number):
        for view in range(block_size):
            cos, sin, slope = rays[number, view]
            position = columns * cos - rows * sin + float(num_detectors // 2 + 1)
            position = jnp.clip(position, 0.0, float(num_detectors + 1))
            first = position.astype(jnp.int32)
            fraction = position - first.astype(jnp.float32)
            weights = [jnp.maximum(0.0, 1.0 - slope * distance) for distance in (fraction, 1.0 - fraction)]
            image = _weighted_taps(block[view], first, weights, image)
        return image

    return _accumulate(add_block, (size, size), blocks)
