"""Principal components: against the full decomposition of the covariance."""

import numpy as np
import pytest

from jaxmed.ops.principal_components import principal_components, principal_plane, sigma_ellipse

RNG = np.random.default_rng(0)
POINTS = (RNG.normal(size=(80, 30)) * 0.8 ** np.arange(30) @ RNG.normal(size=(30, 30))).astype(np.float64)


@pytest.mark.parametrize("points", [POINTS, POINTS[:12]])
def test_equals_the_singular_value_decomposition(points):
    left, values, _ = np.linalg.svd(points - points.mean(0), full_matrices=False)
    wanted = (left * values)[:, :5]
    found = principal_components(points, 5)
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-10)


def test_never_more_components_than_the_points_have():
    assert principal_components(POINTS[:7], 64).shape == (7, 7)


def test_plane_projects_its_points_as_their_components():
    plane = principal_plane(POINTS, 2)
    np.testing.assert_allclose(
        np.abs(plane.project(POINTS)), np.abs(principal_components(POINTS, 2)), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(plane.project(plane.centre[None]), 0, atol=1e-12)
    with pytest.raises(ValueError, match="wanted 2 or more"):
        principal_plane(POINTS[:1], 2)


def test_ellipse_of_a_turned_normal_distribution():
    """Points whitened to exact moments, stretched by 3 and 1, turned by 30 degrees."""
    points = RNG.normal(size=(60, 2))
    points -= points.mean(0)
    white = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T
    turn = np.radians(30)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    ellipse = sigma_ellipse(white * [3.0, 1.0] @ rotation + [5.0, -2.0])
    np.testing.assert_allclose(ellipse.centre, [5, -2], atol=1e-10)
    np.testing.assert_allclose(ellipse.half, [3, 1], rtol=1e-10)
    np.testing.assert_allclose(ellipse.degrees, 30, atol=1e-8)
