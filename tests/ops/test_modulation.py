"""Modulated convolutions against one convolution with a group for each example."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import convolution, filtered_resampling, modulation

modulated_conv = jax.jit(modulation.modulated_conv, static_argnames=("demodulate", "convolve"))
demodulation = jax.jit(modulation.demodulation)


def draw(rng, *shape):
    return jnp.asarray(rng.normal(size=shape), jax.dtypes.canonicalize_dtype(float))


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return draw(rng, 2, 4, 3, 5, 2), draw(rng, 3, 3, 3, 2, 4), draw(rng, 2, 2)


def grouped(x, kernel, styles, *, demodulate):
    """StyleGAN2's form: a kernel for every example, and examples as groups of channels."""
    batch, *spatial, inside = x.shape
    own = kernel[None] * styles[:, None, None, None, :, None]
    if demodulate:
        own = own / jnp.sqrt(jnp.square(own).sum(axis=(1, 2, 3, 4), keepdims=True) + 1e-8)
    side_by_side = jnp.moveaxis(x, 0, -2).reshape(1, *spatial, batch * inside)
    kernels = jnp.moveaxis(own, 0, -2).reshape(*kernel.shape[:3], inside, -1)
    y = jax.lax.conv_general_dilated(
        side_by_side,
        kernels,
        (1, 1, 1),
        "SAME",
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
        feature_group_count=batch,
    )
    return jnp.moveaxis(y[0].reshape(*spatial, batch, -1), -2, 0)


@pytest.mark.parametrize("demodulate", [True, False])
def test_scaled_activations_equal_a_kernel_for_each_example(demodulate):
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        rng = np.random.default_rng(0)
        x, kernel, styles = draw(rng, 2, 4, 3, 5, 2), draw(rng, 3, 3, 3, 2, 4), draw(rng, 2, 2)
        found = modulated_conv(x, kernel, styles, demodulate=demodulate)
        wanted = jax.jit(grouped, static_argnames="demodulate")(x, kernel, styles, demodulate=demodulate)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_demodulated_kernels_have_unit_norm_whatever_the_style(arrays):
    _, kernel, styles = (np.asarray(array) for array in arrays)
    scale = np.asarray(demodulation(kernel, 100 * styles))
    own = kernel[None] * 100 * styles[:, None, None, None, :, None] * scale[:, None, None, None, None, :]
    np.testing.assert_allclose(np.sqrt((own**2).sum(axis=(1, 2, 3, 4))), 1, rtol=1e-5)


def test_a_style_of_ones_without_demodulation_changes_nothing(arrays):
    x, kernel, styles = arrays
    convolve = functools.partial(filtered_resampling.upsample_conv, taps=(1.0, 3.0, 3.0, 1.0))
    for function in (convolution.conv, convolve):
        found = modulated_conv(x, kernel, np.ones_like(styles), demodulate=False, convolve=function)
        np.testing.assert_array_equal(found, jax.jit(function)(x, kernel))
