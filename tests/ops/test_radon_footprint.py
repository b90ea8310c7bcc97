"""The two forms of the projector, and projector against back-projector, on the same footprints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import radon_footprint

THETA = np.linspace(0.0, np.pi / 4, 11)
COSINES, SINES = np.cos(THETA), np.sin(THETA)


def dense_matrix(size, num_detectors, footprint):
    """Weights max(0, 1 - |x cos - y sin - t| / h) / h from their definition, (angles, detectors, y, x)."""
    offsets = np.arange(size) - size // 2
    t = np.arange(num_detectors) - num_detectors // 2
    cos, sin = (values[:, None, None, None] for values in (COSINES, SINES))
    half_width = cos if footprint == "joseph" else 1.0
    distance = offsets * cos - offsets[:, None] * sin - t[:, None, None]
    return np.maximum(0.0, 1.0 - np.abs(distance) / half_width) / half_width


@pytest.mark.parametrize(("footprint", "num_detectors"), [("joseph", 30), ("pixel", 30), ("pixel", 12)])
def test_all_forms_equal_the_dense_matrix(footprint, num_detectors):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.standard_normal((21, 21, 4, 2), dtype=np.float32))
    views = jnp.asarray(rng.standard_normal((11, num_detectors, 4, 2), dtype=np.float32))
    matrix = dense_matrix(21, num_detectors, footprint)
    projected = np.einsum("kdyx,yxob->kdob", matrix, images)
    for form in (radon_footprint.project_by_rows, radon_footprint.project_by_angles):
        sums = jax.jit(lambda x, f=form: f(x, COSINES, SINES, num_detectors, footprint))(images)
        np.testing.assert_allclose(sums, projected, atol=3e-5)
    image = jax.jit(lambda y: radon_footprint.backproject(y, COSINES, SINES, 21, footprint))(views)
    np.testing.assert_allclose(image, np.einsum("kdyx,kdob->yxob", matrix, views), atol=3e-5)
