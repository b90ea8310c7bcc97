"""Change of the CT reconstruction kernel in sinogram space (filtered back-projection augmentation)."""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from jaxmed.ops import example_keys, kernel_filter, radon, reconstruction_filters

Method = Literal["exact", "projector", "fft"]
"""How the kernel is changed: through projections taken as in `jaxmed.ops.radon`, or as one filter."""

WATER_ATTENUATION = 1e-4
"""Linear attenuation of water on the scale of the original method."""

AIR_ATTENUATION = 1.2041e-6
"""Linear attenuation of air on the same scale; -1000 HU is air, so 0 is -1012.19 HU."""

MINIMUM_HU, MAXIMUM_HU = -1000.0, 3000.0
"""Images are clipped from below before, and on both sides after a change of kernel."""


class KernelChange(NamedTuple):
    """Which examples get another kernel, and which: |w| (1 + strength |w|^exponent).

    Attributes:
        strength: a of the kernel, (batch,); in [-1, 0] smoothing, in [10, 40] sharpening.
        exponent: b of the kernel, (batch,), positive.
        applied: whether the example is changed at all, (batch,).
    """

    strength: Float[Array, " batch"]
    exponent: Float[Array, " batch"]
    applied: Bool[Array, " batch"]


def draw_kernel_change(key: Key[Array, ""], batch_size: int, *, probability: float = 0.5) -> KernelChange:
    """Draw a kernel change for every example, half of them smoothing and half sharpening.

    Smoothing: strength uniform in [-1, 0], exponent uniform in [0.1, 1]. Sharpening: strength uniform in
    [10, 40], exponent uniform in [1, 4]. Drawn by `example_keys`, so equal on any number of devices.

    Args:
        key: typed key of the step.
        batch_size: number of examples the caller holds.
        probability: probability that an example is changed.

    Returns:
        Parameters of every example; those with applied=False carry drawn values that have no effect.

    Reference: Saparov et al., Zero-shot domain adaptation in CT segmentation by filtered back projection
    augmentation, 2021, section 2.2.
    """
    return jax.vmap(_draw_one, in_axes=(0, None))(example_keys.example_keys(key, batch_size), probability)


def _draw_one(key, probability) -> KernelChange:
    key_applied, key_side, key_strength, key_exponent = jax.random.split(key, 4)
    smoothing = jax.random.bernoulli(key_side)
    strength = jax.random.uniform(key_strength)
    exponent = jax.random.uniform(key_exponent)
    return KernelChange(
        strength=jnp.where(smoothing, strength - 1.0, 10.0 + 30.0 * strength),
        exponent=jnp.where(smoothing, 0.1 + 0.9 * exponent, 1.0 + 3.0 * exponent),
        applied=jax.random.bernoulli(key_applied, probability),
    )


def kernel_gains(
    strength: Float[Array, " batch"],
    exponent: Float[Array, " batch"],
    frequencies: Float[Array, " frequencies"],
) -> Float[Array, "batch frequencies"]:
    """Gain of a changed kernel over the ramp filter, 1 + a |w|^b.

    A smoothing kernel (a < 0) with a small b also weakens the lowest frequencies, so it lowers the mean:
    at w = 1/512 the gain is 0.46 for (a, b) = (-1, 0.1) and 0.987 for (-1, 0.7). With b near 0.1 soft tissue
    falls by hundreds of HU. This belongs to the published family of kernels and is kept.

    Args:
        strength: a, (batch,).
        exponent: b > 0, (batch,).
        frequencies: |w| in [0, 1], 1 at Nyquist.

    Returns:
        Factors on the ramp filter, (batch, frequencies).

    Reference: Saparov et al., 2021, section 2.1.
    """
    return 1.0 + strength[:, None] * jnp.abs(frequencies)[None, :] ** exponent[:, None]


def hu_to_attenuation(images_hu: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Linear attenuation of HU values: water (0 HU) is 1e-4, air (-1000 HU) 1.2041e-6, in between linear."""
    return WATER_ATTENUATION + images_hu * ((WATER_ATTENUATION - AIR_ATTENUATION) / 1000.0)


def attenuation_to_hu(attenuation: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Inverse of `hu_to_attenuation`."""
    return (attenuation - WATER_ATTENUATION) * (1000.0 / (WATER_ATTENUATION - AIR_ATTENUATION))


@functools.partial(jax.jit, static_argnames=("num_angles", "method"))
def change_kernel(
    images_hu: Float[Array, "batch size size"],
    change: KernelChange,
    *,
    num_angles: int,
    method: Method = "projector",
) -> Float[Array, "batch size size"]:
    """Simulate the reconstruction of CT slices with another convolution kernel.

    Clip at -1000 HU, convert to attenuation, project, filter with |w| (1 + a |w|^b), back-project, convert
    to HU, clip to [-1000, 3000]. The factor |w| of the gain is the sampled ramp filter itself.

    Every example is reconstructed and `change.applied` then chooses, because a compiled step cannot skip
    single examples: the cost does not depend on the probability.

    The methods "exact" and "projector" differ by what interpolation blurs. On a chest phantom of 512^2 pixels
    with 18 HU of noise and 512 angles they are 1.2 HU apart (root mean square inside the circle) for
    (a, b) = (-0.5, 0.5), which changes the image by 45 HU, and 20 HU for (20, 2), which changes it by 102 HU.
    The method "fft" is the limit of infinitely many angles, one filter of the image, and hundreds of times
    faster: see `jaxmed.ops.kernel_filter` for what it leaves out. `benchmarks.kernel_change` measures all
    three against the original algorithm.

    Args:
        images_hu: CT slices in HU, (batch, size, size), float32.
        change: parameters of every example, see `draw_kernel_change`.
        num_angles: number of projection angles; the original takes size // 2 in training. Without effect on
            the method "fft".
        method: "exact" or "projector", see `jaxmed.ops.radon.project`, or "fft".

    Returns:
        CT slices in HU, (batch, size, size); those not applied are returned as they came, unclipped.

    Reference: Saparov et al., Zero-shot domain adaptation in CT segmentation by filtered back projection
    augmentation, 2021, section 2.1. differs: the whole square is projected and reconstructed. The original
    code sets the image outside the inscribed circle to -1000 HU and loses what the corners, filled with air
    at least, rotate out of the square; inside the circle that makes 1 to 3 HU, more at its rim.
    """
    attenuation = hu_to_attenuation(jnp.maximum(images_hu, MINIMUM_HU))
    if method == "fft":
        changed = kernel_filter.filter_with_kernel(attenuation, change.strength, change.exponent)
    else:
        changed = _change_projections(attenuation, change, num_angles, method)
    changed_hu = jnp.clip(attenuation_to_hu(changed), MINIMUM_HU, MAXIMUM_HU)
    return jnp.where(change.applied[:, None, None], changed_hu, images_hu)


def _change_projections(attenuation, change: KernelChange, num_angles: int, method: radon.Method):
    sinograms = radon.project(attenuation, num_angles, method=method)
    ramp = jnp.asarray(reconstruction_filters.ramp_filter(sinograms.shape[-1]))
    gains = kernel_gains(change.strength, change.exponent, ramp)
    return radon.filtered_backprojection(sinograms, attenuation.shape[-1], gains)
