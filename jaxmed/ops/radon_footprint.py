"""Hat-shaped footprints that define line integrals and back-projections, for angles in [0, pi/4], batch last.

The pixel in row offset y (downwards) and column offset x from the centre lies at detector position
x cos(theta) - y sin(theta). Detector t sees it with weight max(0, 1 - |x cos - y sin - t| / h) / h. The half
width h decides the method: h = cos(theta) is linear interpolation along the row (Joseph's projector), h = 1
linear interpolation along the detector (the pixel-driven back-projector). Both directions are written as
gathers, so either one is the transpose of the other without a scatter.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Footprint = Literal["joseph", "pixel"]
"""Half width of the weights: cos(theta), or 1."""

NUM_TAPS = {"joseph": 2, "pixel": 3}
"""Pixels of a row that lie within h of a ray."""


def half_widths(cosines: np.ndarray, footprint: Footprint) -> np.ndarray:
    """Half width h of the weights for each angle."""
    return cosines if footprint == "joseph" else np.ones_like(cosines)


def inverse_widths(cosines: np.ndarray, footprint: Footprint) -> np.ndarray:
    """Factor 1 / h of the weights, (angles, 1, 1, 1) float32."""
    return (1.0 / half_widths(cosines, footprint)).astype(np.float32)[:, None, None, None]


def offsets(count: int) -> np.ndarray:
    """Offsets of pixels or detectors from their centre, float32."""
    return np.arange(count, dtype=np.float32) - count // 2


def row_geometry(cosines: np.ndarray, sines: np.ndarray, footprint: Footprint) -> np.ndarray:
    """Columns between neighbouring detectors, and between rows, and the slope and radius of the weights."""
    slopes = cosines / half_widths(cosines, footprint)
    return np.stack([1.0 / cosines, sines / cosines, slopes, 1.0 / slopes], -1).astype(np.float32)


def row_taps(
    geometry: Float[Array, "*rays 4"],
    rows: Float[Array, "*rows"] | np.ndarray,
    detectors: np.ndarray,
    size: int,
    footprint: Footprint,
) -> tuple[Int[Array, "*places"], list[Float[Array, "*places"]]]:
    """First column and weights of the pixels that each detector sees in each row.

    Columns count from the left edge of an image of odd size with as many zero columns as taps on both sides.
    There are no divisions, so that the compiler repeats this arithmetic inside the loop over the pixels
    rather than storing its results, which would keep that loop from being vectorised.
    """
    num_taps = NUM_TAPS[footprint]
    secants, tangents, slopes, radii = (geometry[..., column] for column in range(4))
    start = detectors * secants + rows * tangents + (float(size // 2 + num_taps + 1) - radii)
    start = jnp.clip(start, 0.0, float(size + num_taps))
    first = start.astype(jnp.int32)
    before = start - first.astype(jnp.float32) - 1.0 + radii
    return first, [jnp.maximum(0.0, 1.0 - slopes * jnp.abs(tap - before)) for tap in range(num_taps)]


def add_taps(
    lines: Float[Array, "columns orientations batch"],
    first: Int[Array, "*places"],
    weights: Sequence[Float[Array, "*places"]],
    total: Float[Array, "*places orientations batch"],
) -> Float[Array, "*places orientations batch"]:
    """Add weights * lines[first + tap] over the taps to total, in the form that suits CPUs."""
    reach = lines.shape[0] - len(weights) + 1
    for tap, weight in enumerate(weights):
        # One window per tap keeps the index, and so its bounds check, common to all taps.
        values = lines[tap : tap + reach].at[first].get(mode="promise_in_bounds")
        total = total + weight[..., None, None] * values
    return total


def accumulate(
    add_block: Callable[[Array, Array, Array], Array], shape: tuple[int, int], blocks: Float[Array, "..."]
) -> Float[Array, "_ _ orientations batch"]:
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
