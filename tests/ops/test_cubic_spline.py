import numpy as np
import pytest
import scipy.ndimage

from jaxmed.ops import cubic_spline


@pytest.mark.parametrize("num_knots", [2, 3, 4, 7])
def test_equals_scipy(num_knots):
    rng = np.random.default_rng(0)
    positions = np.sort(rng.uniform(0, num_knots - 1, 50))
    values = rng.normal(size=num_knots)
    wanted = scipy.ndimage.map_coordinates(values, [positions], order=3, mode="mirror")
    np.testing.assert_allclose(cubic_spline.spline_matrix(positions, num_knots) @ values, wanted, atol=1e-12)


def test_meets_the_knots_and_keeps_constants():
    knots = np.arange(5.0)
    np.testing.assert_allclose(cubic_spline.spline_matrix(knots, 5), np.eye(5), atol=1e-14)
    weights = cubic_spline.spline_matrix(np.linspace(0, 4, 33), 5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-14)


def test_slope_is_zero_at_the_ends_and_continuous_within():
    step = 1e-5
    at = np.array([0.0, step, 1 - step, 1.0, 1 + step])
    values = cubic_spline.spline_matrix(at, 3) @ np.array([0.0, 1.0, -2.0])
    assert abs(values[1] - values[0]) < 1e-8
    np.testing.assert_allclose((values[3] - values[2]) / step, (values[4] - values[3]) / step, rtol=1e-3)


@pytest.mark.parametrize(("positions", "num_knots"), [([0.0, 2.1], 3), ([-0.1], 3), ([0.0], 1)])
def test_refuses(positions, num_knots):
    with pytest.raises(ValueError, match="wanted them within two knots or more"):
        cubic_spline.spline_matrix(np.array(positions), num_knots)
