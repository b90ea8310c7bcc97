import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from benchmarks.peers import jax_games
from benchmarks.peers.jax_style_gan import StyleGanStep
from jaxmed.train.fit import Algorithm

SIZES = {"batch": 2, "base": (2, 2, 2), "num_doublings": 1, "width": 2, "latent": 3, "probe": 2}


@struct.dataclass
class Steps:
    """Attributes: step; seen, the numbers of all steps, two digits each."""

    step: jax.Array
    seen: jax.Array


def test_the_chosen_steps_are_taken(monkeypatch):
    def step(state, batch, key):
        return Steps(state.step + 1, 100 * state.seen + state.step), {"loss": batch["x"].sum()}

    states = []
    finish = jax.block_until_ready
    monkeypatch.setattr(jax, "block_until_ready", lambda done: states.append(finish(done)))
    algorithm = Algorithm(lambda key, batch: Steps(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)), step)
    run = jax_games.make_run(algorithm, {"x": np.ones((1, 2), np.float32)}, itertools.count(1, 16))
    for _ in range(3):
        run()
    assert int(states[-1][0].seen) == 11733


def test_differences_are_of_numbers_losses_and_gradients():
    probe = {
        "weight:net.a.weight": np.array([[1.0, 2.0]], np.float32),
        "loss:square": np.array(5.5, np.float32),
        "gradient:square.a.weight": np.array([[2.0, 4.4]], np.float32),
        "input:x": np.ones(2, np.float32),
    }
    shapes = {"net": {"a": {"kernel": np.zeros((2, 1))}}}

    def square(params, inputs):
        return jnp.sum((params["net"]["a"]["kernel"][:, 0] * inputs["x"]) ** 2)

    found = jax_games.compare(probe, shapes, {"square": ("net", square)}, jax_games.read_inputs(probe))
    assert found["parameters"] == 0
    assert found["loss"] == pytest.approx(0.5 / 5.5)
    assert found["gradients"] == pytest.approx(0.4 / np.hypot(2, 4.4), rel=1e-2)


@pytest.mark.parametrize("path", [False, True])
def test_parts_of_a_step_with_path_length_and_without(path):
    parts = StyleGanStep(**SIZES, path=path).parts("")
    assert list(parts) == (
        ["path length"]
        if path
        else ["generator", "discriminator", "discriminator's loss", "generator's loss"]
    )
    for part in parts.values():
        part()
