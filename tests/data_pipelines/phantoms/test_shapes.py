import numpy as np
import pytest

from data_pipelines.phantoms import shapes


def _grid(size, pixel_mm):
    offset = (np.arange(size) - (size - 1) / 2) * pixel_mm
    return offset[None, :], offset[:, None]


def test_superellipse_is_the_distance_to_a_circle_when_the_axes_are_equal():
    x, y = _grid(41, 1.3)
    np.testing.assert_allclose(shapes.superellipse(x, y, 20.0, 20.0), np.hypot(x, y) - 20, atol=1e-4)


@pytest.mark.parametrize("exponent", [2.0, 2.4])
def test_superellipse_vanishes_on_its_outline_with_unit_slope(exponent):
    angle = np.linspace(0.1, 1.4, 9)
    x, y = 50 * np.cos(angle) ** (2 / exponent), 30 * np.sin(angle) ** (2 / exponent)
    np.testing.assert_allclose(shapes.superellipse(x, y, 50.0, 30.0, exponent), 0, atol=1e-3)
    step = 0.01
    slope_x, slope_y = (
        shapes.superellipse(x + dx, y + dy, 50.0, 30.0, exponent)
        - shapes.superellipse(x - dx, y - dy, 50.0, 30.0, exponent)
        for dx, dy in ((step, 0.0), (0.0, step))
    )
    np.testing.assert_allclose(np.hypot(slope_x, slope_y) / (2 * step), 1, atol=1e-3)


def test_ellipsoid_is_the_distance_to_a_sphere_when_the_axes_are_equal():
    x, y = _grid(21, 2.1)
    distance = shapes.ellipsoid(x, y, 4.0, (9.0, 9.0, 9.0))
    np.testing.assert_allclose(distance, np.sqrt(x**2 + y**2 + 16) - 9, atol=1e-4)


def test_capsule_is_the_distance_to_the_nearest_point_of_its_axis():
    start, end = (0.0, 0.0, 0.0), (10.0, 0.0, 0.0)
    x, y = np.array([5.0, -3.0, 14.0]), np.array([7.0, 4.0, 3.0])
    np.testing.assert_allclose(shapes.capsule(x, y, 0.0, start, end, 1.0), [6.0, 4.0, 4.0])


def test_smooth_union_and_intersection_differ_from_the_sharp_ones_only_near_the_edge():
    a, b = np.array([3.0, 0.0, -8.0]), np.array([-8.0, 0.0, 3.0])
    np.testing.assert_allclose(shapes.smooth_max(a, b, 4.0), [3.0, 1.0, 3.0])
    np.testing.assert_allclose(shapes.smooth_min(a, b, 4.0), [-8.0, -1.0, -8.0])


def test_rotate_turns_the_frame_from_x_towards_y():
    np.testing.assert_allclose(shapes.rotate(0.0, 1.0, 90.0), (1.0, 0.0), atol=1e-12)


@pytest.mark.parametrize("pixel_mm", [0.7, 3.0])
def test_coverage_keeps_the_area_of_a_disc_on_fine_and_coarse_grids(pixel_mm):
    x, y = _grid(int(60 / pixel_mm), pixel_mm)
    area = shapes.coverage(np.hypot(x - 0.3, y + 0.4) - 20, pixel_mm).sum() * pixel_mm**2
    assert area == pytest.approx(np.pi * 20**2, rel=0.005)


def test_paint_replaces_the_inside_and_mixes_by_opacity():
    x, y = _grid(9, 1.0)
    plane = shapes.Plane(np.full((9, 9), -1000.0), x, y, 0.0, 1.0)
    plane.paint(np.hypot(x, y) - 2, 0.0, opacity=0.25)
    assert plane.hu[4, 4] == -750
    assert plane.hu[0, 0] == -1000
