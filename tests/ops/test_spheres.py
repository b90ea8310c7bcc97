import jax.numpy as jnp
import numpy as np

from jaxmed.ops import spheres


def grid(n):
    axes = [np.arange(n, dtype=np.float32)] * 3
    return jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))[None]


def test_volume_of_a_sphere_and_of_two_that_overlap():
    alone = jnp.array([[[15.3, 14.1, 13.8, 12], [0, 0, 0, -1]]])
    both = jnp.array([[[15.3, 14.1, 13.8, 12], [15.3, 14.1, 19.8, 12]]])
    one, two = (np.asarray(spheres.inside_spheres(grid(34), each)) for each in (alone, both))
    np.testing.assert_allclose(one.sum(), 4 / 3 * np.pi * 12**3, rtol=0.01)
    # Two spheres of radius r at distance d share pi (4 r + d) (2 r - d)^2 / 12.
    np.testing.assert_allclose(2 * one.sum() - two.sum(), np.pi * 54 * 18**2 / 12, rtol=0.01)
    assert set(np.unique(one)) == {0, 1}


def test_the_surface_belongs_to_it_and_a_negative_radius_holds_nothing():
    found = spheres.inside_spheres(grid(5), jnp.array([[[2.0, 2, 2, 1], [0, 0, 0, -1]]]))
    assert found.sum() == 7
    assert found[0, 2, 2, 1] == 1 and found[0, 0, 0, 0] == 0
