"""Principal components: against the full decomposition of the covariance."""

import numpy as np
import pytest

from jaxmed.ops.principal_components import principal_components

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
