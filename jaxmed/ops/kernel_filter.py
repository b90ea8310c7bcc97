"""Projection and filtered back-projection with another kernel, as one filter of the image.

By the Fourier slice theorem the spectrum of a projection is the image's own spectrum on the line through the
origin at the angle of the projection, and filtered back-projection with the ramp filter inverts that. Any
other factor H(f) on the ramp, f being the frequency along the detector in cycles per pixel, therefore
multiplies the image's spectrum by H at the distance f = hypot(fx, fy) from the origin. With kernels
H(f) = 1 + a (2 f)^b, whose Nyquist frequency 1/2 has the gain 1 + a, and with what the sampling adds, the
whole chain is the filter

    G(fx, fy) = (1 + a (2 f)^b) sinc(f)^2 sinc(fx)^2 sinc(fy)^2  for f <= 1/2, and 0 beyond,

    sinc(fx)^2 sinc(fy)^2   the bilinear interpolation of the image, when its line integrals are taken,
    sinc(f)^2               the linear interpolation of the projections between detectors, going back,
    f <= 1/2                the detectors are 1 apart and cannot carry more,

where sinc(x) = sin(pi x) / (pi x). The image counts as zero outside.

Frequency zero. The chain acts in the plane, where (2 f)^b with a small b belongs to an impulse response
with long tails, proportional to -r^(-2 - b). On a grid of period P the sample at f = 0 stands for all that
the tails hold beyond one period. G(0, 0) = 1 would bring it back into the image and raise a chest of 192
pixels by 105 HU with (a, b) = (-1, 0.1). In its place stands the integral of the response of the kernel
over a disc of area P^2, of radius R = P / sqrt(pi); J1 is the Bessel function:

    1 + a * integral of 2 pi R J1(2 pi R f) (2 f)^b df from 0 to infinity
      = 1 + a (2 / (pi R))^b Gamma(1 + b/2) / Gamma(1 - b/2)
      = 1 + a (2 / (sqrt(pi) P))^b Gamma(1 + b/2)^2 sinc(b/2).

What is left out: streaks, as the angles count as infinitely many; the place in the image, as interpolation
blurs less where rays meet pixels or detectors than elsewhere; what folds back at the detectors' Nyquist
frequency, from the corners of the image's spectrum; the circle, as the whole square is filtered. The first
three grow with the gain at high frequencies. `benchmarks.kernel_change` measures their sum.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from jaxmed.ops import local_fft


def padded_size(image_size: int) -> int:
    """Period of the filter: 1.25 image_size, or a little more for a fast transform.

    The margin keeps opposite edges apart. What the long tails of smoothing kernels still carry around it
    stays below 1 % of the change. The length has no prime factor above 5.
    """
    period = math.ceil(1.25 * image_size)
    while pow(30, period.bit_length(), period):
        period += 1
    return period


@jax.jit
def filter_with_kernel(
    images: Float[Array, "batch size size"],
    strength: Float[Array, " batch"],
    exponent: Float[Array, " batch"],
) -> Float[Array, "batch size size"]:
    """Filter square images as projection and filtered back-projection with |w| (1 + a |w|^b) do, nearly.

    Two Fourier transforms of `padded_size` for each image, whatever the number of angles. It can be
    differentiated in both modes by all three arguments. The batch may be split over devices and stays split;
    `jax.vmap` is not supported: fold the axis into the batch.

    Args:
        images: (batch, size, size), float32, zero outside.
        strength: a, (batch,).
        exponent: b > 0, (batch,).

    Returns:
        Images, (batch, size, size).

    Raises:
        ValueError: if the images are not square.

    Reference: Kak and Slaney, Principles of computerized tomographic imaging, 1988, section 3.2, for the
    slice theorem; Saparov et al., Zero-shot domain adaptation in CT segmentation by filtered back projection
    augmentation, 2021, section 2.1, for the kernels.
    """
    size = images.shape[-1]
    if images.shape[1] != size:
        raise ValueError(f"images have shape {images.shape}, expected (batch, size, size)")
    period = padded_size(size)
    spectra = local_fft.rfft2(images, period) * responses(strength, exponent, period)
    return local_fft.irfft2(spectra, period, size)


def responses(
    strength: Float[Array, " batch"], exponent: Float[Array, " batch"], period: int
) -> Float[Array, "batch period half_period_and_one"]:
    """The filter G(fx, fy) for each example, at the frequencies of `local_fft.rfft2`.

    Args:
        strength: a, (batch,).
        exponent: b > 0, (batch,).
        period: rows and columns of the padded images.
    """
    blur, log_frequency = _tables(period)
    a, b = strength[:, None, None], exponent[:, None, None]
    at_zero = jnp.asarray(log_frequency == -np.inf)[None]
    finite = jnp.asarray(np.maximum(log_frequency, -1e3))[None]
    power = jnp.where(at_zero, _power_at_zero(b, period), jnp.exp(b * finite))
    return jnp.asarray(blur)[None] * (1.0 + a * power)


def _power_at_zero(b, period: int):
    log_power = b * math.log(2.0 / (math.sqrt(math.pi) * period)) + 2.0 * gammaln(1.0 + b / 2.0)
    return jnp.exp(log_power) * jnp.sinc(b / 2.0)


@functools.cache
def _tables(period: int) -> tuple[np.ndarray, np.ndarray]:
    """Gain of the interpolations inside the circle, and the logarithm of 2 f, float32."""
    fy, fx = np.fft.fftfreq(period)[:, None], np.fft.rfftfreq(period)[None, :]
    f = np.hypot(fx, fy)
    blur = np.where(f <= 0.5, np.square(np.sinc(f) * np.sinc(fx) * np.sinc(fy)), 0.0)
    with np.errstate(divide="ignore"):
        return blur.astype(np.float32), np.log(2.0 * f).astype(np.float32)
