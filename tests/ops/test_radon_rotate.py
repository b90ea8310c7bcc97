import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.ops import radon, radon_rotate


def test_products_with_offsets_are_exact():
    """In both factors, so that no way of rounding a product can change a position."""
    values = np.cos(np.arange(721) * np.pi / 721)
    coarse, fine = radon_rotate._exact_factors(values)
    np.testing.assert_array_equal(coarse + fine, values.astype(np.float32))
    offsets = np.arange(-4095, 4096, 7, dtype=np.float32)[:, None]
    for factor in (coarse, fine):
        np.testing.assert_array_equal(offsets * factor, offsets.astype(np.float64) * factor)


def test_no_ray_of_a_large_batch_loses_a_pixel():
    """From 16 examples the optimising compiler computes the index and the weight apart."""
    size, num_angles = 384, 8  # Some of these positions lie next to whole numbers.
    image = np.random.default_rng(0).random((size, size), dtype=np.float32)
    padded = np.pad(image.astype(np.float64), size)
    count = radon.num_detectors(size)
    offsets = np.arange(count) - count // 2
    expected = np.zeros((num_angles, count))
    for number, theta in enumerate(np.arange(num_angles) * np.pi / num_angles):
        x = offsets * np.cos(theta) + offsets[:, None] * np.sin(theta) + size // 2 + size
        y = offsets[:, None] * np.cos(theta) - offsets * np.sin(theta) + size // 2 + size
        column, row = np.floor(x).astype(int), np.floor(y).astype(int)
        right, below = x - column, y - row
        top = (1 - right) * padded[row, column] + right * padded[row, column + 1]
        bottom = (1 - right) * padded[row + 1, column] + right * padded[row + 1, column + 1]
        expected[number] = ((1 - below) * top + below * bottom).sum(0)
    images = jnp.asarray(np.repeat(image[None], 16, axis=0))
    lowered = jax.jit(lambda x: radon.project(x, num_angles, method="exact")).lower(images)
    ours = np.asarray(lowered.compile({"xla_backend_optimization_level": 3})(images))
    np.testing.assert_allclose(ours, np.broadcast_to(expected, ours.shape), atol=1e-5 * expected.max())
