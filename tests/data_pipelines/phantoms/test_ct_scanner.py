import numpy as np
import pytest

from data_pipelines.phantoms import ct_kernels, ct_scanner, shapes

KERNELS = [ct_kernels.SMOOTH, ct_kernels.STANDARD, ct_kernels.SHARP]


def _positions(size, pixel_mm):
    offset = (np.arange(size) - (size - 1) / 2) * pixel_mm
    return offset[None, :], offset[:, None]


def _disc(size, pixel_mm, radius_mm, *, x_mm=0.0, y_mm=0.0, slices=1):
    """Water disc in air."""
    x, y = _positions(size, pixel_mm)
    share = shapes.coverage(np.hypot(x - x_mm, y - y_mm) - radius_mm, pixel_mm)
    return np.repeat(1000 * share[None] - 1000, slices, axis=0).astype(np.float32)


def _cell_mean(primitive, t, pitch):
    """Mean over each detector cell of a function with the given primitive."""
    return (primitive(t + pitch / 2) - primitive(t - pitch / 2)) / pitch


def _circle_area(u):
    """Primitive of 2 sqrt(1 - u^2), continued as a constant beyond the rim."""
    u = np.clip(u, -1, 1)
    return u * np.sqrt(1 - u**2) + np.arcsin(u)


def _disc_error(pixel):
    """Depth inside the shadow of a disc, and error of the projections, in mm."""
    size, radius, x0, y0 = int(192 / pixel), 50.0, 12.0, -7.0
    attenuation = (_disc(size, pixel, radius, x_mm=x0, y_mm=y0) + 1000) / 1000
    sinogram = ct_scanner.project(attenuation, pixel, 36)[0]
    t = (np.arange(size) - (size - 1) / 2) * pixel
    angle = np.arange(36)[:, None] * np.pi / 36
    offset = t - x0 * np.cos(angle) - y0 * np.sin(angle)
    chord = _cell_mean(lambda u: radius**2 * _circle_area(u / radius), offset, pixel)
    return radius - np.abs(offset), np.abs(sinogram - chord)


def test_projections_of_a_disc_are_chords():
    # Pixels blur the rim over one pixel, where chords are steep; deeper inside little of that is left.
    depth, error = _disc_error(2.0)
    assert error[depth > 10].max() < 0.3 * 2.0
    # Half a ramp, half a pixel diagonal and half a cell end at 1 + 1.42 + 1 mm.
    assert error[depth < -3.5].max() == 0
    assert _disc_error(1.0)[1].mean() < 0.5 * error.mean()


def test_projections_of_a_turned_ellipse_match_their_closed_form():
    size, a, b, turn = 96, 38.0, 20.0, 30.0
    x, y = _positions(size, 1.0)
    ellipse = shapes.coverage(shapes.superellipse(*shapes.rotate(x, y, turn), a, b), 1.0)
    sinogram = ct_scanner.project(ellipse[None], 1.0, 24)[0]
    t = np.arange(size) - (size - 1) / 2
    angle = np.arange(24)[:, None] * np.pi / 24 - np.deg2rad(turn)
    half = np.sqrt((a * np.cos(angle)) ** 2 + (b * np.sin(angle)) ** 2)
    expected = _cell_mean(lambda u: a * b * _circle_area(u / half), t, 1.0)
    assert np.abs(sinogram - expected)[half - np.abs(t) > 5].max() < 0.4
    assert np.abs(sinogram - expected).mean() < 0.15


def test_shadows_of_pixels_are_shared_exactly_among_the_cells():
    attenuation = np.zeros((3, 15, 15))
    pixels = [(7, 7), (3, 9), (11, 4)]
    for layer, (row, column) in enumerate(pixels):
        attenuation[layer, row, column] = 1
    sinogram = ct_scanner.project(attenuation, 1.0, 7)
    inside = (np.arange(400) + 0.5) / 400 - 0.5
    for layer, (row, column) in enumerate(pixels):
        x, y = np.meshgrid(column - 7 + inside, row - 7 + inside)
        for view in range(7):
            t = x * np.cos(view * np.pi / 7) + y * np.sin(view * np.pi / 7)
            counted = np.histogram(t, np.arange(16) - 7.5)[0] / t.size
            np.testing.assert_allclose(sinogram[layer, view], counted, atol=2e-3)


def test_every_projection_holds_the_mass_of_the_object():
    rng = np.random.default_rng(1)
    attenuation = rng.random((2, 40, 40)) * ct_scanner.field_of_view(40)
    mass = ct_scanner.project(attenuation, 1.5, 30).sum(axis=-1) * 1.5
    expected = attenuation.sum(axis=(1, 2)) * 1.5**2
    np.testing.assert_allclose(mass, np.repeat(expected[:, None], 30, 1), rtol=1e-5)


def test_shadow_of_one_pixel_is_a_box_along_the_axes_and_a_triangle_on_the_diagonal():
    attenuation = np.zeros((1, 9, 9))
    attenuation[0, 4, 4] = 1
    sinogram = ct_scanner.project(attenuation, 1.0, 4)[0]
    np.testing.assert_allclose(sinogram[[0, 2]], np.eye(9)[[4, 4]], atol=1e-6)
    # The triangle reaches sqrt(1/2); beyond 1/2 lies (sqrt(1/2) - 1/2)^2 of its unit area.
    tail = (np.sqrt(0.5) - 0.5) ** 2
    np.testing.assert_allclose(sinogram[1, 3:6], [tail, 1 - 2 * tail, tail], atol=1e-6)


def test_attenuation_turns_with_the_angle_from_x_towards_y():
    attenuation = np.zeros((1, 21, 21))
    attenuation[0, 16, 10] = 1
    sinogram = ct_scanner.project(attenuation, 1.0, 2)[0]
    assert sinogram.argmax(axis=-1).tolist() == [10, 16]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_noiseless_reconstruction_keeps_water_and_air(kernel):
    hu = _disc(96, 2.0, 70.0, x_mm=4.0)
    lines = ct_scanner.project((hu + 1000) * ct_scanner.WATER_PER_MM / 1000, 2.0, 150)
    image = ct_scanner.reconstruct(lines, 2.0, kernel)[0]
    distance = np.hypot(*np.broadcast_arrays(*_positions(96, 2.0))) * ct_scanner.field_of_view(96)
    centre = np.hypot(_positions(96, 2.0)[0] - 4.0, _positions(96, 2.0)[1])
    assert abs(image[centre < 60].mean()) < 1
    assert abs(image[(centre > 80) & (distance > 0)].mean() + 1000) < 1
    assert np.abs(image[centre < 55]).max() < 15


def test_outside_of_the_field_of_view_is_air():
    image = ct_scanner.reconstruct(np.ones((1, 20, 32), np.float32), 1.0, ct_kernels.SMOOTH)
    assert (image[:, ~ct_scanner.field_of_view(32)] == -1000).all()


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("fraction", [0.2, 0.4, 0.6])
def test_modulation_of_an_oblique_wave_is_the_system_response(kernel, fraction):
    size = 129
    x, y = _positions(size, 1.0)
    along, _ = shapes.rotate(x, y, 30.0)
    packet = np.exp(-(x**2 + y**2) / (2 * 11**2)) * ct_scanner.field_of_view(size)
    wave = np.cos(np.pi * fraction * along) * packet
    sinogram = ct_scanner.project(wave[None], 1.0, 300)
    image = (ct_scanner.reconstruct(sinogram, 1.0, kernel)[0] + 1000) * ct_scanner.WATER_PER_MM / 1000
    gain = (image * wave).sum() / (wave * wave).sum()
    # The packet has a width of 0.03 in the frequency.
    assert gain == pytest.approx(float(ct_kernels.system_response(kernel, np.array(fraction))), rel=0.03)


def _water_noise(kernel, pixel_mm, num_angles):
    """Difference of two noisy scans of the 20 cm water phantom, in its centre."""
    size = int(np.ceil(220 / pixel_mm))
    hu = _disc(size, pixel_mm, 100.0, slices=6)
    scanner = ct_scanner.calibrated_scanner(num_angles, pixel_mm)
    image = ct_scanner.reconstruct(ct_scanner.acquire(hu, pixel_mm, scanner, 3), pixel_mm, kernel)
    centre = np.hypot(*_positions(size, pixel_mm)) < 32
    return np.diff(image, axis=0)[::2, centre] / np.sqrt(2)


@pytest.mark.parametrize(("pixel_mm", "num_angles"), [(1.0, 220), (3.0, 120)])
def test_dose_gives_the_stated_noise_in_the_water_phantom(pixel_mm, num_angles):
    noise = _water_noise(ct_kernels.SMOOTH, pixel_mm, num_angles).std()
    assert noise == pytest.approx(ct_scanner.SOFT_NOISE_HU, rel=0.08)


def test_noise_ratio_of_the_kernels_is_the_predicted_one():
    predicted = np.sqrt(ct_kernels.SHARP.noise_gain() / ct_kernels.SMOOTH.noise_gain())
    measured = [_water_noise(kernel, 1.5, 160).std() for kernel in (ct_kernels.SHARP, ct_kernels.SMOOTH)]
    assert measured[0] / measured[1] == pytest.approx(predicted, rel=0.05)


def test_quanta_are_drawn_from_the_seed_and_independent_between_slices():
    hu = _disc(48, 4.0, 60.0, slices=10)
    scanner = ct_scanner.Scanner(num_angles=40, photons=1e4)
    first, again, other = (ct_scanner.acquire(hu, 4.0, scanner, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    lines = ct_scanner.project((hu + 1000) * ct_scanner.WATER_PER_MM / 1000, 4.0, 40)
    noise, other_noise = ((sinogram - lines) * np.exp(-lines / 2) for sinogram in (first, other))
    between_slices = np.corrcoef(noise.reshape(10, -1))[np.triu_indices(10, 1)]
    # 1920 draws of equal variance: each of the 45 correlations scatters by 0.023.
    assert np.abs(between_slices).max() < 5 * 0.023
    assert between_slices.std() == pytest.approx(0.023, rel=0.4)
    assert abs(np.corrcoef(noise.ravel(), other_noise.ravel())[0, 1]) < 4 * 0.023 / np.sqrt(10)


def test_variance_of_the_lines_is_one_over_the_counted_photons():
    hu = _disc(32, 4.0, 40.0, slices=200)
    scanner = ct_scanner.Scanner(num_angles=6, photons=2e4)
    sinogram = ct_scanner.acquire(hu, 4.0, scanner, 0)
    expected = np.exp(sinogram.mean(axis=0)) / 2e4
    # 200 draws: each variance scatters by 10 %, the mean over 192 cells by 0.7 %.
    assert (sinogram.var(axis=0) / expected).mean() == pytest.approx(1, abs=0.03)


def test_starved_cells_count_one_photon():
    hu = np.where(ct_scanner.field_of_view(24), 3000.0, -1000.0)[None].astype(np.float32)
    sinogram = ct_scanner.acquire(hu, 20.0, ct_scanner.Scanner(num_angles=3, photons=50.0), 0)
    assert sinogram.max() == pytest.approx(np.log(50))


def test_stored_images_are_whole_clipped_hounsfield_units():
    image = ct_scanner.stored(np.array([-3000.0, -1000.4, 0.6, 9000.0], np.float32))
    assert image.dtype == np.int16
    assert image.tolist() == [-1024, -1000, 1, 3071]


def test_object_outside_of_the_circle_or_not_square_is_refused():
    with pytest.raises(ValueError, match="inscribed circle"):
        ct_scanner.project(np.ones((1, 16, 16)), 1.0, 4)
    with pytest.raises(ValueError, match=r"\(1, 16, 12\)"):
        ct_scanner.project(np.ones((1, 16, 12)), 1.0, 4)
