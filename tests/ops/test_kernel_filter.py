"""The filter against integrals over the plane, analytic sinograms, and the projections it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special

from jaxmed.ops import kernel_filter, radon, reconstruction_filters

filter_with_kernel = jax.jit(kernel_filter.filter_with_kernel)
SIZE, SIGMA = 96, 5.0
KERNELS = ((-1.0, 0.1), (-0.5, 0.5), (-1.0, 0.7), (-1.0, 1.0), (10.0, 1.0), (20.0, 2.0), (40.0, 4.0))
STRENGTHS, EXPONENTS = (np.array(values, np.float32) for values in zip(*KERNELS, strict=True))


def radii(size):
    offsets = np.arange(size) - size // 2
    return np.hypot(offsets[:, None], offsets[None, :])


def gaussian(size=SIZE, sigma=SIGMA):
    return np.exp(-np.square(radii(size) / sigma) / 2.0).astype(np.float32)


def filtered_with_all_kernels(image):
    images = np.repeat(image[None], len(KERNELS), axis=0)
    return np.asarray(filter_with_kernel(images, STRENGTHS, EXPONENTS))


def blur_on_circle(f):
    """Mean over the circle of radius f of sinc(f)^2 sinc(fx)^2 sinc(fy)^2."""
    angles = (np.arange(64) + 0.5) * np.pi / 128
    parts = np.sinc(f) * np.sinc(f * np.cos(angles)) * np.sinc(f * np.sin(angles))
    return np.mean(np.square(parts))


def filtered_gaussian(r, strength, exponent):
    """Integral over f of G(f) times the Gaussian's spectrum times 2 pi f J0(2 pi r f)."""

    def integrand(f):
        spectrum = 2 * np.pi * SIGMA**2 * np.exp(-2 * np.square(np.pi * SIGMA * f)) * blur_on_circle(f)
        return (
            (1.0 + strength * (2 * f) ** exponent) * spectrum * 2 * np.pi * f * special.j0(2 * np.pi * r * f)
        )

    return integrate.quad(integrand, 0.0, 0.5, limit=200, epsabs=1e-10)[0]


def test_gaussian_equals_its_integral_over_the_plane():
    """At the centre, on the flank, and far out where only the tails of the kernel arrive."""
    results = filtered_with_all_kernels(gaussian())
    columns = np.array([0, 3, 8, 20, 40])
    for kernel, result in zip(KERNELS, results, strict=True):
        expected = [filtered_gaussian(r, *kernel) for r in columns]
        ours = result[SIZE // 2, SIZE // 2 + columns]
        np.testing.assert_allclose(ours, expected, atol=2e-4 * max(1.0, np.abs(expected).max()))


def test_wide_gaussian_equals_the_closed_form():
    """Without the interpolations: g + a 2^b (2 pi^2 s^2)^(-b/2) Gamma(1 + b/2) 1F1(1 + b/2; 1; -r^2 / 2 s^2).

    The interpolations are three hats of variance 1/6 in a row and do what a Gaussian's variance
    s^2 + 1/3 along each axis does, to fourth order.
    """
    size, sigma = 128, 8.0
    image = gaussian(size, np.sqrt(sigma**2 - 1.0 / 3.0)) * np.float32(sigma**2 / (sigma**2 - 1.0 / 3.0))
    results = filtered_with_all_kernels(image)
    r = np.arange(30)
    for (a, b), result in zip(KERNELS, results, strict=True):
        tail = special.hyp1f1(1 + b / 2, 1.0, -np.square(r / sigma) / 2) * special.gamma(1 + b / 2)
        expected = np.exp(-np.square(r / sigma) / 2) + a * (np.sqrt(2) / (np.pi * sigma)) ** b * tail
        np.testing.assert_allclose(result[size // 2, size // 2 + r], expected, atol=1e-3)


def test_kernels_act_as_on_the_analytic_sinogram_of_a_gaussian():
    """All projections of a Gaussian are sqrt(2 pi) s exp(-t^2 / 2 s^2).

    The interpolation of the image, absent there, adds 1/6 to its variance along each axis. The other one, of
    the projections, does not blur the centre, where all rays meet a detector: there they are 1 % apart.
    """
    count = radon.num_detectors(SIZE)
    t = np.arange(count) - count // 2
    spread = np.sqrt(SIGMA**2 + 1.0 / 6.0)
    view = np.sqrt(2 * np.pi) * SIGMA**2 / spread * np.exp(-np.square(t / spread) / 2)
    sinograms = np.broadcast_to(view.astype(np.float32), (len(KERNELS), 96, count))
    ramp = reconstruction_filters.ramp_filter(count)
    gains = (1.0 + STRENGTHS[:, None] * ramp ** EXPONENTS[:, None]).astype(np.float32)
    projected = np.asarray(radon.filtered_backprojection(jnp.asarray(sinograms), SIZE, jnp.asarray(gains)))
    inside = radii(SIZE) < SIZE // 2
    for ours, reference in zip(filtered_with_all_kernels(gaussian()), projected, strict=True):
        difference = np.abs(ours - reference)[inside]
        assert difference.max() < 0.01 * np.abs(reference).max()
        assert np.sqrt(np.mean(np.square(difference))) < 3e-4 * np.abs(reference).max()


@pytest.mark.parametrize("size", [32, 33, 45])
def test_sizes_and_the_definition_by_a_plain_transform(size):
    """The response is G, and images of any size are cut as they were padded."""
    period = kernel_filter.padded_size(size)
    assert 1.25 * size <= period < 1.4 * size
    a, b = 20.0, 2.0
    fx, fy = np.fft.fftfreq(period)[None, :], np.fft.fftfreq(period)[:, None]
    f = np.hypot(fx, fy)
    response = (1 + a * (2 * f) ** b) * np.square(np.sinc(f) * np.sinc(fx) * np.sinc(fy)) * (f <= 0.5)
    image = np.random.default_rng(0).random((size, size))
    expected = np.fft.ifft2(np.fft.fft2(image, (period, period)) * response).real[:size, :size]
    values = np.array([[a], [b]], np.float32)
    ours = np.asarray(filter_with_kernel(image[None].astype(np.float32), *values))
    np.testing.assert_allclose(ours[0], expected, atol=1e-5 * np.abs(expected).max())


def test_gain_at_zero_is_the_integral_of_the_response_over_a_disc():
    """The tails beyond the disc, -r^(-2 - b) times a constant, hold the rest up to 1 in the plane."""
    period = 50
    responses = jax.jit(kernel_filter.responses, static_argnums=2)
    for b in (0.1, 0.5, 1.0, 1.7):
        gain = float(np.asarray(responses(*np.array([[-1], [b]], np.float32), period))[0, 0, 0])
        constant = 2.0**b * np.pi ** (-b - 1) * special.gamma(1 + b / 2) / abs(special.gamma(-b / 2))
        beyond = 2 * np.pi * constant * (period / np.sqrt(np.pi)) ** (-b) / b
        # The response of -(2 f)^b is positive away from the centre: what lies outside is missing inside.
        assert abs(gain - (1.0 - beyond)) < 1e-5


def test_period_hardly_matters_to_smoothing():
    """Five times the period gives the same within 1 % of the change, thanks to the gain at frequency zero."""
    disc = np.clip(30.5 - radii(SIZE), 0.0, 1.0).astype(np.float32)
    padded = np.pad(disc, 2 * SIZE)
    middle = slice(2 * SIZE, 3 * SIZE)
    changed = zip(KERNELS, filtered_with_all_kernels(disc), filtered_with_all_kernels(padded), strict=True)
    for (strength, _), near, far in changed:
        if strength < 0:
            change = np.abs(far[middle, middle] - disc).max()
            assert np.abs(near - far[middle, middle]).max() < 0.01 * change


def test_derivatives_agree_with_finite_differences():
    rng = np.random.default_rng(0)
    point = (jnp.asarray(rng.standard_normal((2, 12, 12), dtype=np.float32)),)
    point += (jnp.array([-0.5, 20.0]), jnp.array([0.3, 2.5]))
    direction = tuple(jnp.asarray(rng.standard_normal(x.shape, dtype=np.float32)) for x in point)

    def loss(*arguments):
        return jnp.sum(jnp.square(kernel_filter.filter_with_kernel(*arguments)))

    @jax.jit
    def derivatives():
        step = 1e-2
        ahead, behind = ([x + s * d for x, d in zip(point, direction, strict=True)] for s in (step, -step))
        forward = jax.jvp(loss, point, direction)[1]
        return jax.grad(loss, (0, 1, 2))(*point), forward, (loss(*ahead) - loss(*behind)) / (2 * step)

    gradients, forward, difference = derivatives()
    backward = sum(float(np.vdot(g, d)) for g, d in zip(gradients, direction, strict=True))
    assert abs(backward - forward) < 1e-4 * abs(forward)
    assert abs(difference - forward) < 1e-3 * abs(forward)
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in map(np.asarray, gradients))
