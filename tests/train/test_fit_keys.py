"""Every step draws anew, and the same again where a run is cut and resumed."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.train import fit, mesh


class State(NamedTuple):
    step: jax.Array


def show_key(state, batch, key):
    halves = jax.random.key_data(key)
    return State(state.step + 1), {f"half{number}": half for number, half in enumerate(halves)}


ALGORITHM = fit.Algorithm(lambda key, batch: State(jnp.int32(0)), show_key)


def keys_of(first_step, num_steps):
    seen = []
    fit.fit(
        ALGORITHM,
        State(jnp.int32(first_step)),
        iter([{"x": np.zeros((2, 1), np.float32)}] * num_steps),
        key=jax.random.key(7),
        num_steps=num_steps,
        mesh=mesh.make_mesh(1),
        observers=[lambda step, state, metrics: seen.append(tuple(map(int, metrics.values())))],
    )
    return seen


def test_key_of_a_step_is_the_runs_key_folded_with_its_number():
    keys = [jax.random.key_data(jax.random.fold_in(jax.random.key(7), step)) for step in range(5)]
    assert keys_of(0, 5) == [tuple(map(int, key)) for key in keys]
    assert keys_of(3, 5) == keys_of(0, 5)[3:]
    assert len(set(keys_of(0, 5))) == 5
