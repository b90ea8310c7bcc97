"""Change of the reconstruction kernel against the original algorithm, re-derived with scikit-image."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from scipy import ndimage
from skimage import transform

from jaxmed import types
from jaxmed.augment import sinogram
from jaxmed.bench import collectives

SIZE = NUM_ANGLES = 64
SMOOTH, SHARP = (-0.5, 0.5), (20.0, 2.0)
change_kernel = jax.jit(sinogram.change_kernel, static_argnames=("num_angles", "method"))
KERNELS = (SMOOTH, SHARP, (-1.0, 0.1), (-1.0, 0.7), (0.0, 1.0))


draw_kernel_change = jax.jit(sinogram.draw_kernel_change, static_argnums=1, static_argnames="probability")


def offsets(size):
    return np.arange(size)[None, :] - size // 2, np.arange(size)[:, None] - size // 2


def inside_circle(size, margin):
    x, y = offsets(size)
    return np.hypot(x, y) <= size // 2 - margin


def chest(size, seed=0):
    """Chest-like slice in HU: body, lungs, heart, spine and vessels, blurred a little, noise of 18 HU."""
    rng = np.random.default_rng(seed)
    fine = (np.arange(4 * size) + 0.5) / (2 * size) - 1.0
    x, y = fine[None, :], fine[:, None]
    image = np.full((4 * size, 4 * size), -1000.0)
    ellipses = [(0, 0, 0.85, 0.62, 40), (-0.4, 0, 0.3, 0.42, -850), (0.4, 0, 0.3, 0.42, -850)]
    ellipses += [(0, 0.42, 0.09, 0.1, 400), (0.05, -0.1, 0.14, 0.2, 60)]
    for side in (-0.4, 0.4):
        centres = rng.uniform(-0.15, 0.15, (6, 2))
        ellipses += [
            (side + cx, cy, radius, radius, 20)
            for (cx, cy), radius in zip(centres, rng.uniform(0.015, 0.04, 6), strict=True)
        ]
    for cx, cy, a, b, value in ellipses:
        image[((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1] = value
    image = ndimage.gaussian_filter(image.reshape(size, 4, size, 4).mean((1, 3)), 0.6)
    image += 18.0 * rng.standard_normal((size, size))
    # Corners without noise: what the original does with them is not what is compared.
    return np.where(inside_circle(size, 2), image, -1000.0).astype(np.float32)


def original(image_hu, strength, exponent, num_angles, circle):
    """The original algorithm step by step in float64."""
    water, air = 1e-4, 1.2041e-6
    attenuation = np.maximum(np.float64(image_hu), -1000.0) / 1000.0 * (water - air) + water
    size, theta = len(image_hu), np.arange(num_angles) * 180.0 / num_angles
    views = transform.radon(attenuation * (inside_circle(size, 0) if circle else 1.0), theta, circle=circle)
    count = len(views)
    period = max(64, 2 ** int(np.ceil(np.log2(2 * count))))
    lag = np.abs(np.fft.fftfreq(period, 1.0 / period))
    kernel = np.where(lag % 2 == 1, -1.0 / (np.pi * np.maximum(lag, 1)) ** 2, 0.0)
    kernel[0] = 0.25
    w = 2.0 * np.fft.fft(kernel).real
    response = w * (1.0 + strength * np.abs(w) ** exponent)
    filtered = np.fft.ifft(np.fft.fft(views, period, axis=0) * response[:, None], axis=0).real[:count]
    x, y = offsets(size)
    detectors = np.arange(count) - count // 2
    reconstruction = np.zeros((size, size))
    for view, angle in zip(filtered.T, np.deg2rad(theta), strict=True):
        reconstruction += np.interp(x * np.cos(angle) - y * np.sin(angle), detectors, view)
    reconstruction *= np.pi / (2 * num_angles)
    return np.clip((reconstruction - water) / (water - air) * 1000.0, -1000.0, 3000.0)


def change_of(*pairs):
    strength, exponent = (np.array(values, np.float32) for values in zip(*pairs, strict=True))
    return sinogram.KernelChange(strength, exponent, np.full(len(pairs), True))


def changed_by_all_kernels(image_hu, method="projector"):
    """The image under each of KERNELS; one shape for most tests, so one compilation."""
    images = np.repeat(image_hu[None], len(KERNELS), axis=0)
    change, num_angles = change_of(*KERNELS), len(image_hu)
    return np.asarray(change_kernel(images, change, num_angles=num_angles, method=method))


def rms(difference):
    return float(np.sqrt(np.mean(np.square(difference))))


@pytest.mark.parametrize(
    ("strength", "exponent", "expected"),
    [
        (30.0, 3.0, (1.03, 1.47, 4.75, 31.0)),
        (40.0, 1.0, (5.0, 11.0, 21.0, 41.0)),
        (-1.0, 0.7, (0.80, 0.62, 0.38, 0.0)),
        (-1.0, 0.1, (0.21, 0.13, 0.07, 0.0)),
    ],
)
def test_gains_at_a_tenth_a_quarter_a_half_and_nyquist(strength, exponent, expected):
    gains = jax.jit(sinogram.kernel_gains)(
        jnp.array([strength]), jnp.array([exponent]), jnp.array([0.1, 0.25, 0.5, 1.0])
    )
    np.testing.assert_allclose(gains[0], expected, atol=5.1e-3)


def test_smoothing_kernels_weaken_the_lowest_frequencies():
    gains = jax.jit(sinogram.kernel_gains)(
        jnp.array([-1.0, -1.0]), jnp.array([0.1, 0.7]), jnp.array([1.0 / 512.0])
    )
    np.testing.assert_allclose(gains[:, 0], [0.464, 0.987], atol=5e-4)


def test_smoothing_lowers_the_mean_as_in_the_original():
    """A disc of water loses hundreds of HU at exponent 0.1 and a few tens at 0.7."""
    disc = np.where(inside_circle(SIZE, 8), 0.0, -1000.0).astype(np.float32)
    middle = inside_circle(SIZE, 16)
    results = dict(zip(KERNELS, changed_by_all_kernels(disc), strict=True))
    means = {exponent: results[-1.0, exponent][middle].mean() for exponent in (0.1, 0.7)}
    for exponent, mean in means.items():
        expected = original(disc, -1.0, exponent, NUM_ANGLES, circle=False)[middle].mean()
        assert abs(mean - expected) < 1.0
    assert means[0.1] < -500.0 < -100.0 < means[0.7] < 0.0


def test_water_and_air_have_the_published_attenuation():
    attenuation = sinogram.hu_to_attenuation(jnp.array([0.0, -1000.0, -1012.188]))
    np.testing.assert_allclose(attenuation, [1e-4, 1.2041e-6, 0.0], atol=1e-10)
    hu = jnp.linspace(-1000.0, 3000.0, 9)
    np.testing.assert_allclose(
        sinogram.attenuation_to_hu(sinogram.hu_to_attenuation(hu)), hu, rtol=1e-6, atol=1e-3
    )


@pytest.mark.parametrize("size", [SIZE, 45])
def test_exact_method_equals_the_original_on_a_wide_detector(size):
    image, circle = chest(size), inside_circle(size, 0)
    for parameters, ours in zip(KERNELS, changed_by_all_kernels(image, "exact"), strict=True):
        reference = original(image, *parameters, num_angles=size, circle=False)
        assert rms((ours - reference)[circle]) < 0.1


def test_exact_method_equals_the_original_away_from_the_rim():
    """The corners' air, which is dropped there and kept here, leaves little when its edge is sharpened."""
    image, inner = chest(SIZE), inside_circle(SIZE, 8)
    for parameters, ours in zip(KERNELS, changed_by_all_kernels(image, "exact"), strict=True):
        reference = original(image, *parameters, num_angles=NUM_ANGLES, circle=True)
        bound = 0.02 * rms((reference - image)[inner]) if parameters == SHARP else 0.5
        assert rms((ours - reference)[inner]) < bound


def test_projector_stays_close_to_the_exact_method():
    """Relative to the change itself: 5 % for smoothing and 25 % for sharpening at this size."""
    image, circle = chest(SIZE), inside_circle(SIZE, 1)
    exact, projector = (changed_by_all_kernels(image, method) for method in ("exact", "projector"))
    for position, bound in ((KERNELS.index(SMOOTH), 0.05), (KERNELS.index(SHARP), 0.25)):
        error = rms((projector[position] - exact[position])[circle])
        assert error < bound * rms((exact[position] - image)[circle])


def test_one_filter_stays_close_to_the_exact_method():
    """Relative to the change itself: 5 % for smoothing, 30 % for sharpening and for no kernel at all.

    With 512 angles, so that no streaks come from too few. The mean that smoothing takes away is kept.
    """
    image, circle = chest(SIZE), inside_circle(SIZE, 1)
    images, change = np.repeat(image[None], len(KERNELS), axis=0), change_of(*KERNELS)
    exact, filtered = (
        np.asarray(change_kernel(images, change, num_angles=512, method=method))
        for method in ("exact", "fft")
    )
    for kernel, wanted, ours in zip(KERNELS, exact, filtered, strict=True):
        error, moved = rms((ours - wanted)[circle]), rms((wanted - image)[circle])
        assert error < (0.05 if kernel[0] < 0 else 0.3) * moved
        assert kernel[0] > 0 or abs((ours - wanted)[circle].mean()) < 0.5


def test_no_change_of_kernel_is_a_round_trip():
    x, y = offsets(SIZE)
    soft_disc = -1000.0 + 1000.0 / (1.0 + np.exp((np.hypot(x, y) - 20.0) / 2.0))
    restored = changed_by_all_kernels(soft_disc.astype(np.float32))[KERNELS.index((0.0, 1.0))]
    assert rms((restored - soft_disc)[inside_circle(SIZE, 1)]) < 3.0


def test_smoothing_removes_noise_and_sharpening_adds_it():
    lung = (slice(27, 37), slice(16, 22))
    smooth, sharp, _, _, unchanged = (image[lung].std() for image in changed_by_all_kernels(chest(SIZE)))
    assert smooth < 0.8 * unchanged < 0.4 * sharp


def test_values_stay_in_range():
    images = changed_by_all_kernels(4.0 * chest(SIZE))
    assert images.min() == -1000.0 and images.max() == 3000.0


@pytest.mark.parametrize("method", ["exact", "projector", "fft"])
def test_examples_that_are_not_applied_are_returned_bit_for_bit(method):
    images = np.random.default_rng(0).normal(0.0, 2000.0, (2, 32, 32)).astype(np.float32)
    change = change_of(SMOOTH, SHARP)._replace(applied=np.array([False, True]))
    result = np.asarray(change_kernel(jnp.asarray(images), change, num_angles=16, method=method))
    np.testing.assert_array_equal(result[0].view(np.uint32), images[0].view(np.uint32))
    assert not np.array_equal(result[1], images[1])


def test_every_example_gets_its_own_kernel():
    images = np.stack([chest(32, seed) for seed in range(2)])
    both = np.asarray(change_kernel(images, change_of(SMOOTH, SHARP), num_angles=16))
    swapped = np.asarray(change_kernel(images[::-1], change_of(SHARP, SMOOTH), num_angles=16))
    np.testing.assert_allclose(both, swapped[::-1], atol=0.05)
    assert rms(both[0] - images[0]) < rms(both[1] - images[1])


def test_draws_fill_the_published_ranges():
    change = draw_kernel_change(jax.random.key(0), 4000)
    strength, exponent = np.asarray(change.strength), np.asarray(change.exponent)
    smoothing = strength <= 0
    assert abs(smoothing.mean() - 0.5) < 0.03
    assert abs(np.asarray(change.applied).mean() - 0.5) < 0.03
    for part, a_range, b_range in ((smoothing, (-1, 0), (0.1, 1)), (~smoothing, (10, 40), (1, 4))):
        for values, (low, high) in ((strength[part], a_range), (exponent[part], b_range)):
            assert values.min() >= low and values.max() <= high
            assert abs(values.mean() - (low + high) / 2) < 0.05 * (high - low)
    correlation = np.corrcoef(np.stack([strength, exponent, np.asarray(change.applied)])[:, smoothing])
    assert np.abs(correlation - np.eye(3)).max() < 0.07


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_probability_decides_how_many_are_changed(probability):
    change = draw_kernel_change(jax.random.key(0), 4000, probability=probability)
    assert np.asarray(change.applied).mean() == probability


@pytest.mark.parametrize("size", [45, 48])
def test_one_filter_knows_no_angles_and_mixes_no_examples(size):
    images = np.stack([chest(size, seed) for seed in range(2)])
    change = change_of(SMOOTH, SHARP)
    both, again = (
        np.asarray(change_kernel(images, change, num_angles=number, method="fft")) for number in (16, 160)
    )
    np.testing.assert_array_equal(both, again)
    for position, kernel in enumerate((SMOOTH, SHARP)):
        alone = change_kernel(images[position : position + 1], change_of(kernel), num_angles=16, method="fft")
        np.testing.assert_allclose(both[position], alone[0], atol=0.01)


def augment(key, images, method="projector"):
    change = sinogram.draw_kernel_change(key, images.shape[0], probability=0.8)
    return change_kernel(images, change, num_angles=12, method=method)


@pytest.mark.parametrize("num_devices", [4, pytest.param(8, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("method", ["exact", "projector", "fft"])
def test_one_and_many_devices_agree(method, num_devices):
    images = np.asarray(np.stack([chest(24, seed) for seed in range(8)]))
    key, spec = jax.random.key(3), P(types.DATA_AXIS)
    mesh = jax.make_mesh((num_devices,), (types.DATA_AXIS,), axis_types=(AxisType.Auto,))
    function = functools.partial(augment, method=method)
    alone = jax.jit(function)(key, images)
    split_images = jax.device_put(images, NamedSharding(mesh, spec))
    compiled = jax.jit(function).lower(key, split_images).compile()
    np.testing.assert_allclose(compiled(key, split_images), alone, atol=0.05)
    assert not collectives.list_collectives(compiled.as_text())
    mapped = jax.shard_map(function, mesh=mesh, in_specs=(P(), spec), out_specs=spec)
    np.testing.assert_allclose(jax.jit(mapped)(key, images), alone, atol=0.05)


@pytest.mark.parametrize("method", ["projector", "fft"])
def test_gradient_with_respect_to_image_and_kernel_is_finite(method):
    images = chest(24)[None]

    def loss(images, strength, exponent):
        change = sinogram.KernelChange(strength, exponent, jnp.array([True]))
        changed = change_kernel(images, change, num_angles=12, method=method)
        return jnp.mean(jnp.square(changed / 1000.0))

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(images, jnp.array([-0.5]), jnp.array([0.5]))
    for gradient in map(np.asarray, gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_gradient_of_a_step_gathers_no_image():
    """A loss over the whole batch, split over eight devices: one sum, of scalars."""
    images = np.asarray(np.stack([chest(24, seed) for seed in range(8)]))
    mesh = jax.make_mesh((8,), (types.DATA_AXIS,), axis_types=(AxisType.Auto,))
    split = jax.device_put(images, NamedSharding(mesh, P(types.DATA_AXIS)))

    def step(key, x):
        return jax.value_and_grad(lambda y: jnp.mean(jnp.square(augment(key, y, "fft") / 1000.0)))(x)

    alone = jax.jit(step)(jax.random.key(3), images)
    compiled = jax.jit(step).lower(jax.random.key(3), split).compile()
    for ours, expected in zip(compiled(jax.random.key(3), split), alone, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-9)
    moved = collectives.list_collectives(compiled.as_text())
    assert [(one.kind, one.shapes) for one in moved] == [("all-reduce", ((),))]
