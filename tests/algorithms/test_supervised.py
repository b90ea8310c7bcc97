import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmed.algorithms.supervised import supervised


class Line(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(1, use_bias=False, kernel_init=nn.initializers.ones)(x)


def make(prepare):
    return supervised(
        Line(),
        optax.sgd(0.5),
        prepare=prepare,
        loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
    )


def test_one_step_follows_the_gradient_of_the_mean():
    """w = 1, inputs 1 and 2, targets 0: loss (1 + 4) / 2, gradient 2 (1 + 4) / 2 = 5, so w becomes -1.5."""
    algorithm = make(lambda batch, key: (batch["image"], jnp.zeros((2, 1))))
    batch = {"image": np.array([[1], [2]], np.float32)}
    state = jax.jit(algorithm.init)(jax.random.key(0), batch)
    state, metrics = jax.jit(algorithm.step)(state, batch, jax.random.key(1))
    assert float(metrics["loss"]) == 2.5
    np.testing.assert_allclose(state.net.params["Dense_0"]["kernel"], [[-1.5]])
    assert int(state.step) == 1


def test_prepare_sees_the_key_of_the_step():
    algorithm = make(lambda batch, key: (batch["image"] * jax.random.normal(key), jnp.zeros((2, 1))))
    batch = {"image": np.array([[1], [2]], np.float32)}
    state, step = jax.jit(algorithm.init)(jax.random.key(0), batch), jax.jit(algorithm.step)
    first, again, other = (step(state, batch, jax.random.key(k))[1]["loss"] for k in (1, 1, 2))
    assert first == again
    assert first != other


class Dropped(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dropout(0.5, deterministic=not train)(nn.Dense(64)(x))


def test_model_may_use_random_keys_of_the_step():
    algorithm = supervised(
        Dropped(),
        optax.sgd(0.1),
        prepare=lambda batch, key: (batch["image"], jnp.ones((2, 64))),
        loss=lambda outputs, targets: jnp.square(outputs - targets).mean(axis=1),
    )
    batch = {"image": np.ones((2, 3), np.float32)}
    state, step = jax.jit(algorithm.init)(jax.random.key(0), batch), jax.jit(algorithm.step)
    first, again, other = (step(state, batch, jax.random.key(k))[1]["loss"] for k in (1, 1, 2))
    assert first == again
    assert first != other


class Slope(nn.Module):
    """y = w x, with w = 10 at first."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(1, use_bias=False, kernel_init=nn.initializers.constant(10.0), name="dense")(x)


def test_each_step_has_its_own_scheduled_number():
    """A linear model with the loss (w - target) value and steps of 1: w falls by the values 1, 2, 4."""
    algorithm = supervised(
        Slope(),
        optax.sgd(1.0),
        prepare=lambda batch, _: (batch["x"], batch["y"]),
        loss=lambda outputs, targets, value: (outputs[:, 0] - targets) * value,
        schedule=lambda step: 2.0**step,
    )
    batch = {"x": np.ones((4, 1), np.float32), "y": np.arange(4, dtype=np.float32)}
    state, step = jax.jit(algorithm.init)(jax.random.key(0), batch), jax.jit(algorithm.step)
    seen = []
    for _ in range(3):
        state, metrics = step(state, batch, jax.random.key(1))
        seen.append([float(metrics["loss"]), float(metrics["schedule"])])
    np.testing.assert_allclose(seen, [[8.5, 1], [15, 2], [22, 4]])
    np.testing.assert_allclose(state.net.params["dense"]["kernel"], [[3.0]])
    assert int(state.step) == 3


def test_what_is_measured_stands_beside_the_loss_and_changes_nothing():
    """w = 1, inputs 1 and 2, targets 0 and 1: both outputs are above 1/2, one of them rightly."""
    batch = {"image": np.array([[1], [2]], np.float32)}

    def run(measure):
        algorithm = supervised(
            Line(),
            optax.sgd(0.5),
            prepare=lambda batch, key: (batch["image"], jnp.array([[0.0], [1.0]])),
            loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
            measure=measure,
        )
        state = jax.jit(algorithm.init)(jax.random.key(0), batch)
        return jax.jit(algorithm.step)(state, batch, jax.random.key(1))

    plain, metrics = run(None)
    watched, measured = run(lambda outputs, targets: {"right": ((outputs > 0.5) == targets).mean()})
    assert measured == {**metrics, "right": 0.5}
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(watched), strict=True):
        np.testing.assert_array_equal(one, other)
