import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.train import averages


def test_a_contribution_is_halved_after_the_half_life():
    decay = averages.half_life_decay(half_life=96.0, batch_size=8)
    average = {"w": jnp.ones(3)}
    for _ in range(12):
        average = averages.update_average(average, {"w": jnp.zeros(3)}, decay)
    np.testing.assert_allclose(average["w"], 0.5, rtol=1e-6)


def test_stays_at_constant_parameters_and_moves_towards_new_ones():
    start = {"w": jnp.array([1.0, -2.0]), "b": jnp.array(3.0)}
    same = averages.update_average(start, start, 0.9)
    jax.tree.map(lambda new, old: np.testing.assert_allclose(new, old, rtol=1e-6), same, start)
    moved = averages.update_average(start, jax.tree.map(lambda x: x + 1, start), 0.75)
    jax.tree.map(lambda new, old: np.testing.assert_allclose(new, old + 0.25, rtol=1e-6), moved, start)
