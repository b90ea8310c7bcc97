import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import reconstruction_filters


@pytest.mark.parametrize(("num_detectors", "size"), [(3, 64), (32, 64), (33, 128), (256, 512), (725, 2048)])
def test_period_holds_two_rows(num_detectors, size):
    assert reconstruction_filters.fft_size(num_detectors) == size
    frequencies = reconstruction_filters.frequencies(num_detectors)
    assert frequencies.shape == (size // 2 + 1,) and frequencies[0] == 0 and frequencies[-1] == 1


def test_ramp_of_period_512():
    ramp = reconstruction_filters.ramp_filter(256)
    assert abs(ramp[0] - 7.9e-4) < 5e-6
    assert abs(ramp[-1] - 0.9992) < 5e-5
    assert abs(ramp[128] - 0.5) < 1e-3
    assert np.abs(ramp - reconstruction_filters.frequencies(256)).max() < 1e-3


@pytest.mark.parametrize("with_gains", [False, True])
def test_matrix_product_equals_the_fourier_transform(with_gains):
    rng = np.random.default_rng(0)
    sinograms = rng.random((2, 5, 46), dtype=np.float32)
    ramp = reconstruction_filters.ramp_filter(46).astype(np.float64)
    gains = rng.random((2, ramp.size), dtype=np.float32) * 10 if with_gains else None
    response = ramp[None] * (gains if with_gains else np.ones((2, 1)))
    spectrum = np.fft.rfft(sinograms.astype(np.float64), 128) * response[:, None]
    expected = np.fft.irfft(spectrum, 128)[..., :46]
    filtered = jax.jit(reconstruction_filters.filter_sinograms)(sinograms, gains)
    np.testing.assert_allclose(filtered, expected, atol=2e-6 * np.abs(expected).max())


def test_constant_gain_scales_the_ramp():
    sinograms = jnp.asarray(np.random.default_rng(0).random((1, 3, 20), dtype=np.float32))
    gains = jnp.full((1, reconstruction_filters.frequencies(20).size), 3.0)
    apply = jax.jit(reconstruction_filters.filter_sinograms)
    bare, scaled = np.asarray(apply(sinograms)), np.asarray(apply(sinograms, gains))
    np.testing.assert_allclose(scaled, 3.0 * bare, atol=1e-5)
