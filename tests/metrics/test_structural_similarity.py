"""Against an implementation of its own in scipy, float64."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from skimage.metrics import structural_similarity as skimage_ssim

from jaxmed.metrics import structural_similarity as similarity

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def gaussian(size):
    positions = np.arange(size) - size // 2
    weights = np.exp(-(positions**2) / (2 * (1.5 * size / 11) ** 2))
    return weights / weights.sum()


def blur(image, size):
    for axis in range(image.ndim):
        image = scipy.ndimage.correlate1d(image, gaussian(size), axis=axis)
    return image[(slice(size // 2, -(size // 2)),) * image.ndim]


def parts(x, y, size, data_range):
    """Mean SSIM, and mean of contrast times structure, of two single-channel images."""
    mx, my = blur(x, size), blur(y, size)
    sx, sy, sxy = blur(x * x, size) - mx**2, blur(y * y, size) - my**2, blur(x * y, size) - mx * my
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance, contrast = (2 * mx * my + c1) / (mx**2 + my**2 + c1), (2 * sxy + c2) / (sx + sy + c2)
    return (luminance * contrast).mean(), contrast.mean()


def reference(x, y, size, data_range, scales):
    weights = WEIGHTS[:scales] / WEIGHTS[:scales].sum()
    value = 1.0
    for scale in range(scales):
        whole, contrast = parts(x, y, size, data_range)
        value *= max(whole if scale == scales - 1 else contrast, 0) ** weights[scale]
        for axis in range(x.ndim):
            even = x.shape[axis] // 2 * 2
            x, y = (
                (z.take(np.arange(0, even, 2), axis) + z.take(np.arange(1, even, 2), axis)) / 2
                for z in (x, y)
            )
    return value


def pair(shape, seed=0):
    rng = np.random.default_rng(seed)
    x = scipy.ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    return x, x + 0.1 * rng.normal(size=shape)


def as_batch(*images):
    return jnp.asarray(np.stack(images)[..., None].astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "size", "scales"), [((64, 51), 11, 3), ((40, 41), 5, 4), ((24, 20, 28), 7, 2)]
)
def test_multi_scale_equals_an_independent_implementation(shape, size, scales):
    x, y = pair(shape)
    first, second = as_batch(x, y), as_batch(y, 0.5 * x)
    value = similarity.multi_scale_ssim(first, second, data_range=2.0, window_size=size, num_scales=scales)
    np.testing.assert_allclose(value[0], reference(x, y, size, 2.0, scales), rtol=2e-5)
    np.testing.assert_allclose(value[1], reference(y, 0.5 * x, size, 2.0, scales), rtol=2e-5)


def test_single_scale_equals_scikit_image():
    """scikit-image averages over places where an 11-pixel window of the same weights fits."""
    x, y = pair((40, 44))
    expected = skimage_ssim(
        x, y, data_range=3.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, truncate=3.4
    )
    value = similarity.ssim(as_batch(x), as_batch(y), data_range=3.0)
    np.testing.assert_allclose(value[0], expected, rtol=2e-5)


def test_of_identical_images_is_one_and_offsets_cost_no_digits():
    x, y = pair((33, 35))
    value = similarity.multi_scale_ssim(as_batch(x), as_batch(x), data_range=1.0)
    np.testing.assert_allclose(value, 1, rtol=1e-6)
    far = similarity.ssim(as_batch(x + 1000), as_batch(y + 1000), data_range=1.0)
    np.testing.assert_allclose(far[0], parts(x + 1000, y + 1000, 11, 1.0)[0], rtol=2e-3)


def test_channels_are_averaged_per_scale():
    x, y = pair((20, 22))
    two = similarity.ssim(
        jnp.asarray(np.concatenate([as_batch(x), as_batch(x)], -1)),
        jnp.asarray(np.concatenate([as_batch(x), as_batch(y)], -1)),
        data_range=1.0,
    )
    np.testing.assert_allclose(two[0], (1 + parts(x, y, 11, 1.0)[0]) / 2, rtol=2e-5)


def test_opposed_images_count_as_zero():
    x, _ = pair((30, 30))
    value = similarity.multi_scale_ssim(as_batch(x), as_batch(-x), data_range=0.1, num_scales=2)
    np.testing.assert_array_equal(value, 0)


def test_scales_must_fit():
    assert [similarity.count_scales((size, 300)) for size in (10, 11, 21, 22, 80, 176)] == [0, 1, 1, 2, 3, 5]
    x = jnp.zeros((1, 80, 80, 1))
    with pytest.raises(ValueError, match="room for 1 to 3"):
        similarity.multi_scale_ssim(x, x, data_range=1.0, num_scales=5)
    with pytest.raises(ValueError, match="does not fit"):
        similarity.ssim(x[:, :8], x[:, :8], data_range=1.0)
    with pytest.raises(ValueError, match="odd"):
        similarity.ssim(x, x, data_range=1.0, window_size=8)
    with pytest.raises(ValueError, match="equal ones"):
        similarity.ssim(x, x[:, :40], data_range=1.0)


def test_moments_compare_all_pairs_as_one_by_one():
    """Also of volumes, and where the range is not 1."""
    rng = np.random.default_rng(0)
    for shape in ((3, 18, 20, 2), (2, 9, 8, 8, 1)):
        images = 200 * rng.random(shape)
        others = 0.5 * images[:2] + 100 * rng.random((2, *shape[1:]))
        first, second = (jnp.asarray(array.astype(np.float32)) for array in (images, others))
        options = {"data_range": 200.0, "window_size": 5}
        moments = [similarity.scale_moments(images, **options) for images in (first, second)]
        found = similarity.compare_moments(*moments, **options)
        assert found.shape == (shape[0], 2)
        for number in range(2):
            one = jnp.asarray(np.broadcast_to(np.asarray(second)[number], shape))
            wanted = similarity.multi_scale_ssim(first, one, **options)
            np.testing.assert_allclose(found[:, number], wanted, rtol=1e-4)
