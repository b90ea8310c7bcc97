"""Ramp filter of filtered back-projection, with per-example gains, as a matrix product."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def fft_size(num_detectors: int) -> int:
    """Period of the filters: the next power of two from 2 * num_detectors, at least 64.

    Two rows of detectors fit, so the circular convolution equals the linear one.
    """
    return max(64, 1 << (2 * num_detectors - 1).bit_length())


def frequencies(num_detectors: int) -> np.ndarray:
    """Frequencies of the filters, |w| from 0 to 1 = Nyquist (half a cycle per detector), float32."""
    half = fft_size(num_detectors) // 2
    return (np.arange(half + 1) / half).astype(np.float32)


@functools.cache
def _ramp(num_detectors: int) -> np.ndarray:
    size = fft_size(num_detectors)
    lag = np.minimum(np.arange(size), size - np.arange(size))
    kernel = np.where(lag % 2 == 1, -1.0 / (np.pi * np.maximum(lag, 1)) ** 2, 0.0)
    kernel[0] = 0.25
    return 2.0 * np.fft.rfft(kernel).real


def ramp_filter(num_detectors: int) -> np.ndarray:
    """Frequency response of the ramp filter, about |w|, at `frequencies`.

    Twice the real Fourier transform of the band-limited ramp sampled in space, 1/4 at lag 0,
    -1 / (pi lag)^2 at odd lags and 0 at the other even ones. Cutting it off after one period leaves a small
    positive value at w = 0 (7.9e-4 at a period of 512) in place of 0; it removes the bias that a ramp
    sampled in frequency has.

    Reference: Kak and Slaney, Principles of computerized tomographic imaging, 1988, chapter 3, equation 61.
    """
    return _ramp(num_detectors).astype(np.float32)


def filter_sinograms(
    sinograms: Float[Array, "batch angles detectors"],
    filter_gains: Float[Array, "batch frequencies"] | None = None,
) -> Float[Array, "batch angles detectors"]:
    """Convolve every projection with the ramp filter times the gains.

    Equal to multiplying the discrete Fourier transform of the zero-padded projections by the filter. It is
    computed as a product with the Toeplitz matrix of the filter's impulse response, one for each example if
    there are gains, because a Fourier transform gathers a batch that is split over devices on each of them.

    Args:
        sinograms: projections, (batch, angles, detectors).
        filter_gains: factors on the ramp at `frequencies`, (batch, frequencies); None for the bare ramp.

    Returns:
        Filtered projections, (batch, angles, detectors).
    """
    num_detectors = sinograms.shape[-1]
    ramp, to_lags = _ramp(num_detectors), _inverse_cosine_transform(num_detectors)
    lag = jnp.abs(jnp.arange(num_detectors)[:, None] - jnp.arange(num_detectors)[None, :])
    if filter_gains is None:
        matrix = jnp.asarray((ramp @ to_lags).astype(np.float32))[lag]
        return jnp.matmul(sinograms, matrix, precision=jax.lax.Precision.HIGHEST)
    response = jnp.matmul(
        filter_gains, (ramp[:, None] * to_lags).astype(np.float32), precision=jax.lax.Precision.HIGHEST
    )
    return jnp.matmul(sinograms, response[:, lag], precision=jax.lax.Precision.HIGHEST)


@functools.cache
def _inverse_cosine_transform(num_detectors: int) -> np.ndarray:
    """Matrix from real, even filters at `frequencies` to their impulse response at lags 0, 1, ..."""
    size = fft_size(num_detectors)
    steps = np.outer(np.arange(size // 2 + 1), np.arange(num_detectors)) % size
    matrix = np.cos(2 * np.pi / size * steps) * (2.0 / size)
    matrix[[0, -1]] /= 2.0
    return matrix
