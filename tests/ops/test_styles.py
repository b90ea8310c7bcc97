"""Mixed and truncated styles at their ends."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import styles


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return tuple(jnp.asarray(rng.normal(size=(3, 5, 2)), jnp.float32) for _ in range(2))


def test_a_crossover_at_either_end_gives_a_parent(pair):
    first, second = pair
    np.testing.assert_array_equal(styles.mix_styles(first, second, 0), second)
    for all_layers in (5, 9):
        np.testing.assert_array_equal(styles.mix_styles(first, second, all_layers), first)


def test_every_example_has_its_own_crossover(pair):
    first, second = pair
    mixed = styles.mix_styles(first, second, jnp.array([1, 0, 4]))
    for number, crossover in enumerate((1, 0, 4)):
        np.testing.assert_array_equal(mixed[number, :crossover], first[number, :crossover])
        np.testing.assert_array_equal(mixed[number, crossover:], second[number, crossover:])


def test_truncation_ends_at_the_mean(pair):
    one, mean = pair[0][:, 0], jnp.array([1.0, -2.0])
    np.testing.assert_array_equal(styles.truncate_styles(one, mean, 0.0), jnp.tile(mean, (3, 1)))
    np.testing.assert_allclose(styles.truncate_styles(one, mean, 1.0), one, atol=1e-6)
    repeated = styles.repeat_styles(one, 4)
    assert repeated.shape == (3, 4, 2)
    np.testing.assert_array_equal(repeated[:, 3], one)
