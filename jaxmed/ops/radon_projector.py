"""Line integrals with the weights of `radon_footprint`, in two forms: one for CPUs, one for accelerators."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmed.ops import radon_footprint

_ROWS_PER_STEP = 8
_BYTES_PER_CHUNK = 2**30


def project(
    images: Float[Array, "size size orientations batch"],
    cosines: np.ndarray,
    sines: np.ndarray,
    num_detectors: int,
    footprint: radon_footprint.Footprint,
    angles_per_chunk: int | None = None,
) -> Float[Array, "base num_detectors orientations batch"]:
    """Line integrals of images of odd size, in the form that suits the platform it is compiled for.

    Args:
        images: (size, size, orientations, batch), size odd.
        cosines: of the angles in [0, pi/4], (base,), float64.
        sines: of the angles.
        num_detectors: length of the detector row.
        footprint: "joseph" or "pixel".
        angles_per_chunk: see `project_by_angles`; without effect on a CPU.
    """
    geometry = cosines, sines, num_detectors, footprint
    return jax.lax.platform_dependent(
        images,
        cpu=lambda x: project_by_rows(x, *geometry),
        default=lambda x: project_by_angles(x, *geometry, angles_per_chunk),
    )


def project_by_rows(
    images: Float[Array, "size size orientations batch"],
    cosines: np.ndarray,
    sines: np.ndarray,
    num_detectors: int,
    footprint: radon_footprint.Footprint,
) -> Float[Array, "base num_detectors orientations batch"]:
    """Scan over blocks of rows: rows stay in the cache and the sums of all detectors pass through it once.

    The form for CPUs. Eight rows at a time take half the time of one row at a time.
    """
    size = images.shape[0]
    num_taps = radon_footprint.NUM_TAPS[footprint]
    num_steps = -(-size // _ROWS_PER_STEP)
    extra = num_steps * _ROWS_PER_STEP - size
    padded = jnp.pad(images, ((0, extra), (num_taps, num_taps), (0, 0), (0, 0)))
    blocks = padded.reshape(num_steps, _ROWS_PER_STEP, *padded.shape[1:])
    detectors = radon_footprint.offsets(num_detectors)[None, :]
    geometry = jnp.asarray(radon_footprint.row_geometry(cosines, sines, footprint)[:, None])

    def add_block(sums, block, number):
        top = (number * _ROWS_PER_STEP - size // 2).astype(jnp.float32)
        for row in range(_ROWS_PER_STEP):
            taps = radon_footprint.row_taps(geometry, top + float(row), detectors, size, footprint)
            sums = radon_footprint.add_taps(block[row], *taps, sums)
        return sums

    sums = radon_footprint.accumulate(add_block, (cosines.size, num_detectors), blocks)
    return sums * radon_footprint.inverse_widths(cosines, footprint)


def project_by_angles(
    images: Float[Array, "size size orientations batch"],
    cosines: np.ndarray,
    sines: np.ndarray,
    num_detectors: int,
    footprint: radon_footprint.Footprint,
    angles_per_chunk: int | None = None,
) -> Float[Array, "base num_detectors orientations batch"]:
    """Loop over chunks of angles with the sum over the rows fused into the gathers: no sums in memory.

    The form for accelerators, where the row scan would send all its sums through memory once per block of
    rows. It gives the same to rounding. It has run on CPUs only; its speed on an accelerator is unknown.

    Args:
        images: (size, size, orientations, batch), size odd.
        cosines: of the angles in [0, pi/4], (base,), float64.
        sines: of the angles.
        num_detectors: length of the detector row.
        footprint: "joseph" or "pixel".
        angles_per_chunk: number of base angles at a time; each gives one view per orientation. None for as
            many as would fill 1 GiB if the compiler wrote the terms of the sums to memory instead.
    """
    size = images.shape[0]
    num_taps = radon_footprint.NUM_TAPS[footprint]
    padded = jnp.pad(images, ((0, 0), (num_taps, num_taps), (0, 0), (0, 0)))
    width = padded.shape[1]
    flat = padded.reshape(size * width, *padded.shape[2:])
    wanted = angles_per_chunk or default_angles_per_chunk(size, num_detectors, math.prod(images.shape[2:]))
    num_chunks = math.ceil(cosines.size / wanted)
    per_chunk = math.ceil(cosines.size / num_chunks)
    geometry = radon_footprint.row_geometry(cosines, sines, footprint)
    geometry = np.pad(geometry, ((0, num_chunks * per_chunk - cosines.size), (0, 0)))
    rows = radon_footprint.offsets(size)[None, :, None]
    detectors = radon_footprint.offsets(num_detectors)[None, None, :]
    starts = width * np.arange(size)[None, :, None]

    def one_chunk(chunk):
        first, weights = radon_footprint.row_taps(chunk[:, None, None], rows, detectors, size, footprint)
        # Indices rather than windows of the image, which the compiler might copy for every chunk.
        places = [flat.at[first + starts + tap] for tap in range(num_taps)]
        terms = [
            weight[..., None, None] * place.get(mode="promise_in_bounds")
            for weight, place in zip(weights, places, strict=True)
        ]
        return jnp.sum(sum(terms[1:], terms[0]), axis=1)

    sums = jax.lax.map(one_chunk, geometry.reshape(num_chunks, per_chunk, 4))
    sums = sums.reshape(-1, num_detectors, *images.shape[2:])[: cosines.size]
    return sums * radon_footprint.inverse_widths(cosines, footprint)


def default_angles_per_chunk(size: int, num_detectors: int, num_images: int) -> int:
    """Angles whose products of weights and pixels, float32, take 1 GiB; at least one.

    Args:
        size: side of the images.
        num_detectors: length of the detector row.
        num_images: number of images times orientations.
    """
    return max(1, _BYTES_PER_CHUNK // (4 * size * num_detectors * num_images))
