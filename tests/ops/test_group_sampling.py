import functools

import jax
import numpy as np

from jaxmed.ops import group_sampling
from jaxmed.ops.example_keys import example_keys


@functools.partial(jax.jit, static_argnums=(1, 3))
def draw(key, count, groups, num_groups):
    return group_sampling.draw_over_groups(example_keys(key, count), groups, num_groups)


def test_groups_and_their_members_are_equally_likely():
    """Sizes 1, 5, 0, 2: each of the three groups with members a third, whatever its size."""
    groups = np.array([1, 3, 1, 0, 1, 3, 1, 1])
    count = 9000
    drawn = draw(jax.random.key(0), count, groups.astype(np.int32), 4)
    assert drawn.dtype == np.int32
    found = np.bincount(drawn, minlength=len(groups))
    sizes = np.bincount(groups)
    expected = count / 3 / sizes[groups]
    np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(expected.max()))


def test_one_group_is_uniform_and_one_example_is_always_drawn():
    key = jax.random.key(1)
    found = np.bincount(draw(key, 3000, np.full(5, 2, np.int32), 3), minlength=5)
    np.testing.assert_allclose(found, 600, atol=5 * np.sqrt(600))
    assert (np.asarray(draw(key, 3000, np.zeros(1, np.int32), 7)) == 0).all()
