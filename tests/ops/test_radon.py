"""Radon transform, adjoint and filtered back-projection against analytic sinograms and scikit-image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from scipy import ndimage
from skimage import transform

from benchmarks import analytic_sinograms
from benchmarks.analytic_sinograms import DISC, SHEPP_LOGAN, ellipse_image
from jaxmed import types
from jaxmed.ops import radon

METHODS = ("exact", "projector")


def ellipse_sinogram(ellipses, size, num_angles):
    return analytic_sinograms.ellipse_sinogram(ellipses, size, num_angles, radon.num_detectors(size))


def scikit_image_sinogram(image, num_angles):
    return transform.radon(image, np.arange(num_angles) * 180.0 / num_angles, circle=False).T


def scikit_image_reconstruction(sinogram, size):
    theta = np.arange(len(sinogram)) * 180.0 / len(sinogram)
    return transform.iradon(sinogram.T, theta, output_size=size, circle=False)


def inside_circle(size, margin=1.0):
    offsets = np.arange(size) - size // 2
    return np.hypot(offsets[:, None], offsets[None, :]) <= size // 2 - margin


def rms(difference):
    return float(np.sqrt(np.mean(np.square(np.asarray(difference, np.float64)))))


def project_one(image, num_angles, method="projector"):
    return np.asarray(radon.project(np.float32(image)[None], num_angles, method=method))[0]


def random_image(size, seed=0, smoothing=0.0):
    noise = np.random.default_rng(seed).random((size, size))
    return ndimage.gaussian_filter(noise, smoothing)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("size", "num_angles"), [(32, 24), (33, 25), (17, 1)])
def test_adjoint_satisfies_its_definition(method, size, num_angles):
    rng = np.random.default_rng(size)
    images = rng.random((1, size, size), dtype=np.float32)
    sinograms = rng.random((1, num_angles, radon.num_detectors(size)), dtype=np.float32)
    forward = np.vdot(np.float64(radon.project(images, num_angles, method=method)), sinograms)
    backward = np.vdot(images, np.float64(radon.adjoint(sinograms, size, method=method)))
    assert abs(forward - backward) < 1e-5 * abs(forward)


@pytest.mark.parametrize(("size", "num_angles"), [(32, 24), (33, 25)])
@pytest.mark.parametrize("method", METHODS)
def test_adjoint_of_signed_data(method, size, num_angles):
    rng = np.random.default_rng(1)
    images = rng.standard_normal((1, size, size), dtype=np.float32)
    sinograms = rng.standard_normal((1, num_angles, radon.num_detectors(size)), dtype=np.float32)
    projected = np.float64(radon.project(images, num_angles, method=method))
    backward = np.vdot(images, np.float64(radon.adjoint(sinograms, size, method=method)))
    scale = np.linalg.norm(projected) * np.linalg.norm(sinograms)
    assert abs(np.vdot(projected, sinograms) - backward) < 1e-6 * scale


@pytest.mark.parametrize(("size", "num_angles"), [(32, 24), (33, 25), (64, 9)])
def test_exact_equals_scikit_image(size, num_angles):
    image = random_image(size)
    ours = project_one(image, num_angles, "exact")
    reference = scikit_image_sinogram(image, num_angles)
    assert ours.shape == reference.shape
    assert np.abs(ours - reference).max() < 1e-5 * reference.max()


@pytest.mark.parametrize("size", [64, pytest.param(65, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("ellipses", [SHEPP_LOGAN, DISC], ids=["shepp_logan", "disc"])
def test_projection_is_as_close_to_the_analytic_sinogram_as_scikit_image(size, ellipses):
    image, truth = ellipse_image(ellipses, size), ellipse_sinogram(ellipses, size, 60)
    reference = rms(scikit_image_sinogram(image, 60) - truth)
    projector, exact = (rms(project_one(image, 60, method) - truth) for method in ("projector", "exact"))
    assert projector <= reference
    assert exact <= reference * (1 + 1e-5)


def test_error_of_the_projector_falls_with_the_pixel_size():
    """The edges of the ellipses make it first order: half the pixel, half the error."""
    errors = []
    for size in (32, 64):
        image, truth = ellipse_image(DISC, size), ellipse_sinogram(DISC, size, 60)
        errors.append(rms(project_one(image, 60) - truth) / rms(truth))
    assert errors[1] < 0.55 * errors[0]


@pytest.mark.parametrize(
    ("size", "num_angles"), [(64, 90), pytest.param(65, 91, marks=pytest.mark.exhaustive)]
)
@pytest.mark.parametrize("ellipses", [SHEPP_LOGAN, DISC], ids=["shepp_logan", "disc"])
def test_reconstruction_is_as_close_to_the_truth_as_scikit_image(size, num_angles, ellipses):
    truth, sinogram = ellipse_image(ellipses, size), ellipse_sinogram(ellipses, size, num_angles)
    circle = inside_circle(size)
    ours = np.asarray(radon.filtered_backprojection(np.float32(sinogram)[None], size))[0]
    reference = scikit_image_reconstruction(sinogram, size)
    assert rms((ours - truth)[circle]) <= rms((reference - truth)[circle]) * (1 + 1e-4)
    np.testing.assert_allclose(ours[circle], reference[circle], atol=2e-6 * size)


def test_angle_zero_sums_columns_and_a_right_angle_sums_rows_upwards():
    image = np.float32(random_image(33))
    sinogram = project_one(image, 2)
    start = radon.num_detectors(33) // 2 - 33 // 2
    np.testing.assert_allclose(sinogram[0, start : start + 33], image.sum(0), rtol=1e-5)
    np.testing.assert_allclose(sinogram[1, start : start + 33], image.sum(1)[::-1], rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_every_angle_conserves_mass(method):
    window = np.hanning(32)[:, None] * np.hanning(32)
    image = np.pad(random_image(32, smoothing=3.0) * window, 16)
    sinogram = project_one(image, 60, method)
    np.testing.assert_allclose(sinogram.sum(-1), image.sum(), rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_lost_outside_the_inscribed_circle(method):
    corners = np.where(inside_circle(33), 0.0, 1.0)
    sinogram = project_one(corners, 25, method)
    np.testing.assert_allclose(sinogram.sum(-1), corners.sum(), rtol=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_projection_is_linear(method):
    first, second = (np.float32(random_image(32, seed)[None]) for seed in (0, 1))
    combined, of_first, of_second = (
        np.asarray(radon.project(images, 24, method=method))
        for images in (2.0 * first - 3.0 * second, first, second)
    )
    np.testing.assert_allclose(combined, 2.0 * of_first - 3.0 * of_second, atol=1e-4)


def test_examples_of_a_batch_do_not_mix():
    images = np.float32(np.stack([random_image(32, seed) for seed in range(2)]))
    together = np.asarray(radon.project(images, 24))
    for position in range(2):
        np.testing.assert_allclose(together[position], project_one(images[position], 24), rtol=1e-6)


def test_backprojection_equals_scikit_image_inside_the_row():
    sinogram = np.random.default_rng(0).random((15, radon.num_detectors(33)))
    sinogram[:, [0, -1]] = 0.0
    theta = np.arange(15) * 12.0
    reference = transform.iradon(sinogram.T, theta, output_size=33, circle=False, filter_name=None)
    ours = np.asarray(radon.backproject(np.float32(sinogram)[None], 33))[0] * (np.pi / 30)
    np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-6)


def functions_of_one_array(size=16, num_angles=10):
    count = radon.num_detectors(size)
    image, sinogram = (1, size, size), (1, num_angles, count)
    return {
        "projector": (lambda x: radon.project(x, num_angles), image),
        "exact": (lambda x: radon.project(x, num_angles, method="exact"), image),
        "adjoint": (lambda x: radon.adjoint(x, size), sinogram),
        "backproject": (lambda x: radon.backproject(x, size), sinogram),
        "filtered_backprojection": (lambda x: radon.filtered_backprojection(x, size), sinogram),
    }


@pytest.mark.parametrize("name", functions_of_one_array())
def test_derivatives_agree_with_finite_differences(name):
    function, shape = functions_of_one_array()[name]
    rng = np.random.default_rng(3)
    point, direction = (rng.standard_normal(shape, dtype=np.float32) for _ in range(2))

    def loss(x):
        return 0.5 * jnp.sum(jnp.square(function(x)))

    @jax.jit
    def derivatives(x, d):
        _, forward = jax.jvp(loss, (x,), (d,))
        # A quadratic's central difference is exact: (f(p + d) - f(p - d)) / 2 = <f'(p), d>.
        return jax.grad(loss)(x), forward, (loss(x + d) - loss(x - d)) / 2.0

    gradient, forward, difference = map(np.asarray, derivatives(point, direction))
    scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
    assert np.isfinite(gradient).all()
    assert abs(forward - difference) < 1e-5 * scale
    assert abs(np.vdot(gradient, direction) - forward) < 1e-5 * scale


def test_gradient_of_the_projector_is_the_adjoint():
    image, sinogram = np.float32(random_image(20)[None]), np.float32(random_image(29)[None, :12])
    gradient = jax.jit(lambda x, y: jax.vjp(lambda z: radon.project(z, 12), x)[1](y)[0])(image, sinogram)
    np.testing.assert_array_equal(gradient, radon.adjoint(sinogram, 20))


def round_trip(images):
    return radon.filtered_backprojection(radon.project(images, 12), images.shape[-1])


def test_split_batch_gives_the_same_without_communication():
    images = np.float32(np.stack([random_image(24, seed) for seed in range(8)]))
    mesh = jax.make_mesh((4,), (types.DATA_AXIS,), axis_types=(AxisType.Auto,))
    split = jax.device_put(images, NamedSharding(mesh, P(types.DATA_AXIS)))
    compiled = jax.jit(round_trip).lower(split).compile()
    np.testing.assert_allclose(compiled(split), jax.jit(round_trip)(images), atol=1e-6)
    assert compiled(split).sharding.is_equivalent_to(split.sharding, 3)
    text = compiled.as_text()
    assert not [word for word in ("all-gather", "all-reduce", "all-to-all", "permute") if word in text]


def test_shard_map_gives_the_same_gradient():
    images = np.float32(np.stack([random_image(16, seed) for seed in range(4)]))
    mesh = jax.make_mesh((4,), (types.DATA_AXIS,), axis_types=(AxisType.Auto,))

    def gradient(x):
        return jax.grad(lambda y: jnp.sum(jnp.square(round_trip(y))))(x)

    spec = P(types.DATA_AXIS)
    mapped = jax.jit(jax.shard_map(gradient, mesh=mesh, in_specs=spec, out_specs=spec))
    np.testing.assert_allclose(mapped(images), jax.jit(gradient)(images), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: radon.project(jnp.zeros((1, 8, 8)), 0), "num_angles is 0"),
        (lambda: radon.project(jnp.zeros((1, 8, 8)), 0, method="exact"), "num_angles is 0"),
        (lambda: radon.adjoint(jnp.zeros((1, 4, 8)), 8), "8 detectors, expected 12"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
