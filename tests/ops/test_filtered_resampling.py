"""Re-sampling with a low-pass filter: gains, centres, adjoints, and the order of filter and convolution."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxmed.ops import filtered_resampling

low_pass = jax.jit(filtered_resampling.low_pass, static_argnums=1)
downsample = jax.jit(filtered_resampling.downsample, static_argnums=1)
conv_downsample = jax.jit(filtered_resampling.conv_downsample, static_argnums=2)
upsample_conv = jax.jit(filtered_resampling.upsample_conv, static_argnums=2)
EVEN, ODD = (1.0, 3.0, 3.0, 1.0), (1.0, 3.0, 3.0, 3.0, 1.0)


def interior(x, margin=3):
    return np.asarray(x)[(slice(None), *(slice(margin, -margin),) * (np.ndim(x) - 2))]


@pytest.mark.parametrize("taps", [EVEN, ODD])
def test_low_pass_is_the_separable_correlation(taps):
    x = np.random.default_rng(0).normal(size=(1, 9, 8, 7, 2)).astype(np.float32)
    weights = np.array(taps) / sum(taps)
    wanted = x
    for axis in (1, 2, 3):
        wanted = scipy.ndimage.correlate1d(wanted, weights, axis=axis, mode="constant")
    np.testing.assert_allclose(low_pass(jnp.asarray(x), taps), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("taps", [EVEN, ODD])
def test_downsampling_keeps_constants_and_halves_ramps(taps):
    size = 16
    ramp = np.arange(size, dtype=np.float32)[None, :, None, None, None]
    ramp = np.broadcast_to(ramp, (1, size, size, size, 1))
    found = interior(downsample(ramp, taps), 2)[0, :, 0, 0, 0]
    centre = 0.5 if len(taps) % 2 == 0 else 0.0
    np.testing.assert_allclose(found, 2 * np.arange(2, size // 2 - 2) + centre, rtol=1e-5)
    kernel = np.zeros((3, 3, 3, 1, 1), np.float32)
    kernel[1, 1, 1] = 1
    convolved = conv_downsample(ramp, kernel, taps)
    np.testing.assert_allclose(interior(convolved, 2)[0, :, 0, 0, 0], found, rtol=1e-5)


@pytest.mark.parametrize("taps", [EVEN, ODD])
def test_upsampling_gives_even_and_odd_voxels_the_sums_of_every_other_tap(taps):
    kernel = np.zeros((3, 3, 3, 1, 1), np.float32)
    kernel[1, 1, 1] = 1
    found = interior(upsample_conv(np.ones((1, 6, 6, 6, 1), np.float32), kernel, taps), 4)[0, ..., 0]
    middle = len(taps) // 2
    by_parity = [2 * sum(taps[(parity + middle) % 2 :: 2]) / sum(taps) for parity in (0, 1)]
    for parities in itertools.product((0, 1), repeat=3):
        part = found[tuple(slice(parity, None, 2) for parity in parities)]
        np.testing.assert_allclose(part, np.prod([by_parity[parity] for parity in parities]), rtol=1e-5)
    if taps == EVEN:
        assert by_parity == [1, 1]
    else:
        assert by_parity == pytest.approx([10 / 11, 12 / 11])


def test_convolving_before_or_after_the_filter_is_the_same():
    rng = np.random.default_rng(0)
    x, kernel = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((1, 6, 8, 2), (3, 3, 2, 3)))
    spread = np.zeros((1, 12, 16, 2), np.float32)
    spread[:, ::2, ::2] = x
    smooth = 4 * np.asarray(low_pass(spread, EVEN))
    wanted = jax.lax.conv_general_dilated(
        smooth, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    found = upsample_conv(x, kernel, EVEN)
    np.testing.assert_allclose(interior(found, 2), interior(wanted, 2), rtol=1e-4, atol=1e-5)


def test_odd_sizes_are_refused():
    with pytest.raises(ValueError, match="wanted even spatial sizes"):
        filtered_resampling.downsample(jnp.zeros((1, 4, 5, 1)), EVEN)
