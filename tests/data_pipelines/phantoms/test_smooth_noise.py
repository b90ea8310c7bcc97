import numpy as np
import pytest

from data_pipelines.phantoms.smooth_noise import NUM_CELLS, SmoothNoise


def _noise(cell_mm=5.0):
    return SmoothNoise(np.random.default_rng(0), cell_mm)


def test_field_has_zero_mean_and_unit_variance():
    offset = np.linspace(0, NUM_CELLS * 5.0, 100, endpoint=False)
    values = np.stack([_noise().slice_at(z, offset) for z in np.linspace(0, 240, 30, endpoint=False)])
    # 48^3 independent coefficients: the mean scatters by about 1.7 / 48^1.5.
    assert abs(values.mean()) < 0.02
    assert values.var() == pytest.approx(1, abs=0.04)


def test_slices_and_points_sample_the_same_function():
    offset = np.array([-31.0, -2.5, 0.0, 17.3])
    plane = _noise().slice_at(8.2, offset)
    y, x = np.meshgrid(offset, offset, indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), np.full(16, 8.2)], axis=1)
    np.testing.assert_allclose(_noise().at(points), plane.ravel(), atol=1e-5)


def test_grids_and_points_sample_the_same_function():
    z, y, x = np.array([1.0, 2.0]), np.array([-3.0, 4.0, 9.0]), np.array([0.0, 7.0, 8.0, 11.5])
    grid = _noise().on_grid(z, y, x)
    points = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(_noise().at(points), grid.ravel(), atol=1e-5)


def test_field_is_smooth_at_the_scale_of_a_cell():
    values = _noise().slice_at(0.0, np.linspace(0, 100, 1001))
    # Along a line the slope has a standard deviation of 0.86 / cell_mm; 0.1 mm apart, 6 of them are 0.1.
    assert np.abs(np.diff(values, axis=0)).max() < 0.1


def test_field_repeats_after_its_cells():
    points = np.array([[3.1, -7.0, 2.0]])
    np.testing.assert_allclose(_noise().at(points + 5.0 * NUM_CELLS), _noise().at(points), atol=1e-4)
