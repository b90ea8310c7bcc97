import numpy as np
import pytest

from data_pipelines.phantoms import ct_kernels

KERNELS = [ct_kernels.SMOOTH, ct_kernels.STANDARD, ct_kernels.SHARP]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_response_is_one_at_zero_and_vanishes_from_the_nyquist_frequency_on(kernel):
    np.testing.assert_allclose(kernel.response(np.array([0.0, 1.0, 1.5])), [1, 0, 0], atol=1e-12)


def test_smooth_kernel_is_the_hann_window():
    u = np.linspace(0, 1, 50)
    np.testing.assert_allclose(ct_kernels.SMOOTH.response(u), 0.5 + 0.5 * np.cos(np.pi * u), atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "kernel_points", "system_points"),
    [
        (ct_kernels.SMOOTH, (0.50, 0.80), (0.40, 0.69)),
        (ct_kernels.STANDARD, (0.72, 0.90), (0.55, 0.80)),
        (ct_kernels.SHARP, (0.92, 0.97), (0.81, 0.92)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_frequencies_at_50_and_10_percent_are_the_documented_ones(kernel, kernel_points, system_points):
    u = np.linspace(0, 1, 5001)
    for curve, points in (
        (kernel.response(u), kernel_points),
        (ct_kernels.system_response(kernel, u), system_points),
    ):
        found = [u[np.flatnonzero(curve >= level)[-1]] for level in (0.5, 0.1)]
        np.testing.assert_allclose(found, points, atol=0.0051)


def test_only_the_sharp_kernel_overshoots_in_the_image():
    u = np.linspace(0, 1, 1001)
    peaks = [ct_kernels.system_response(kernel, u).max() for kernel in KERNELS]
    np.testing.assert_allclose(peaks, [1, 1, 1.27], atol=0.005)
    assert ct_kernels.STANDARD.response(u).max() < 1.03
    assert ct_kernels.SHARP.response(u).max() == pytest.approx(2.22, abs=0.005)


def test_noise_gain_of_the_hann_window_has_its_closed_form():
    # cos^4(pi u / 2) = 3/8 + cos(pi u) / 2 + cos(2 pi u) / 8, and u^2 cos(k pi u) integrates over [0, 1] to
    # 2 (-1)^k / (k pi)^2.
    cos = [1 / 3] + [2 * (-1) ** k / (k * np.pi) ** 2 for k in range(1, 4)]
    plain = 3 / 8 * cos[0] + cos[1] / 2 + cos[2] / 8
    shifted = 3 / 8 * cos[1] + (cos[0] + cos[2]) / 4 + (cos[1] + cos[3]) / 16
    assert ct_kernels.SMOOTH.noise_gain() == pytest.approx(2 * plain + shifted, rel=1e-9)


def test_noise_of_the_sharp_kernel_is_4_3_times_that_of_the_smooth_one():
    ratio = np.sqrt(ct_kernels.SHARP.noise_gain() / ct_kernels.SMOOTH.noise_gain())
    assert ratio == pytest.approx(4.3, abs=0.05)
