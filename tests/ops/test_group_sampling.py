import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.ops.example_keys import example_keys
from jaxmed.ops.group_sampling import draw_over_groups


def test_groups_and_their_members_are_equally_likely():
    """Sizes 1, 5, 0, 2: each of the three groups with members a third, whatever its size."""
    groups = np.array([1, 3, 1, 0, 1, 3, 1, 1])
    count = 9000
    drawn = draw_over_groups(example_keys(jax.random.key(0), count), jnp.asarray(groups), 4)
    assert drawn.dtype == jnp.int32
    found = np.bincount(drawn, minlength=len(groups))
    sizes = np.bincount(groups)
    expected = count / 3 / sizes[groups]
    np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(expected.max()))


def test_one_group_is_uniform_and_one_example_is_always_drawn():
    keys = example_keys(jax.random.key(1), 3000)
    found = np.bincount(draw_over_groups(keys, jnp.full(5, 2), 3), minlength=5)
    np.testing.assert_allclose(found, 600, atol=5 * np.sqrt(600))
    assert (np.asarray(draw_over_groups(keys, jnp.zeros(1, jnp.int32), 7)) == 0).all()
