import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import radon_orientations


@pytest.mark.parametrize("num_angles", [1, 2, 3, 4, 5, 6, 8, 45, 90, 91])
def test_every_angle_is_reached_once_from_the_first_octant(num_angles):
    groups = radon_orientations.angle_groups(num_angles)
    reached = []
    for group in groups:
        base = np.arctan2(group.sines, group.cosines)
        assert base.min() >= 0 and base.max() <= np.pi / 4 + 1e-12
        turned = np.stack([base, np.pi - base, np.pi / 2 - base, np.pi / 2 + base], -1)[:, group.orientations]
        known = group.views < num_angles
        np.testing.assert_allclose(turned[known], group.views[known] * np.pi / num_angles, atol=1e-12)
        reached.extend(group.views[known])
    assert sorted(reached) == list(range(num_angles))


@pytest.mark.parametrize("orientations", [(0, 1, 2, 3), (2, 3)])
def test_orient_back_is_the_transpose(orientations):
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.standard_normal((5, 5, 2), dtype=np.float32))
    stack = jnp.asarray(rng.standard_normal((5, 5, len(orientations), 2), dtype=np.float32))
    (expected,) = jax.linear_transpose(lambda x: radon_orientations.orient(x, orientations), image)(stack)
    np.testing.assert_allclose(radon_orientations.orient_back(stack, orientations), expected, rtol=1e-6)


@pytest.mark.parametrize("num_angles", [7, 8])
def test_gathered_views_spread_back(num_angles):
    groups = radon_orientations.angle_groups(num_angles)
    sinograms = jnp.asarray(np.random.default_rng(0).random((num_angles, 6, 2), dtype=np.float32))
    parts = [radon_orientations.spread_views(sinograms, group) for group in groups]
    np.testing.assert_array_equal(radon_orientations.gather_views(parts, groups, num_angles), sinograms)
    for part, group in zip(parts, groups, strict=True):
        absent = np.swapaxes(np.asarray(part), 1, 2)[group.views == num_angles]
        np.testing.assert_array_equal(absent, 0.0)
