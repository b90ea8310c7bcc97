"""The scheduled number reaches the loss at its step."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmed.algorithms.scheduled import scheduled


class Linear(nn.Module):
    """y = w x, with w = 10 at first."""

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(1, use_bias=False, kernel_init=nn.initializers.constant(10.0), name="dense")(x)


def test_each_step_has_its_own_number():
    """A linear model with the loss (w - target) value and steps of 1: w falls by the values 1, 2, 4."""
    algorithm = scheduled(
        Linear(),
        optax.sgd(1.0),
        prepare=lambda batch: (batch["x"], batch["y"]),
        loss=lambda outputs, targets, value: (outputs[:, 0] - targets) * value,
        schedule=lambda step: 2.0**step,
    )
    batch = {"x": jnp.ones((4, 1)), "y": jnp.arange(4.0)}
    state = algorithm.init(jax.random.key(0), batch)
    seen = []
    for _ in range(3):
        state, metrics = jax.jit(algorithm.step)(state, batch, jax.random.key(1))
        seen.append([float(metrics["loss"]), float(metrics["schedule"])])
    np.testing.assert_allclose(seen, [[8.5, 1], [15, 2], [22, 4]])
    np.testing.assert_allclose(state.net.params["dense"]["kernel"], [[3.0]])
    assert int(state.step) == 3
