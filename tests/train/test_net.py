import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmed.train import net


class Affine(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.BatchNorm(use_running_average=not train, momentum=0.5)(nn.Dense(1)(x))


def test_init_needs_shapes_only():
    shapes = jax.eval_shape(
        lambda key: net.init_net(Affine(), optax.adam(1e-3), key, jnp.zeros((2, 3))), jax.random.key(0)
    )
    assert shapes.params["Dense_0"]["kernel"].shape == (3, 1)
    assert set(shapes.variables) == {"params", "batch_stats"}


def test_update_is_one_step_of_the_optimizer():
    """Gradient descent on x^2/2 from x=3 with rate 0.1 gives 2.7; the loss is the one before the step."""

    def loss(params, batch_stats, scale):
        return scale * 0.5 * params["x"] ** 2, (batch_stats, {"seen": params["x"]})

    optimizer = optax.sgd(0.1)
    params = {"x": jnp.asarray(3.0)}
    state = net.NetState(params, {}, optimizer.init(params))
    state, value, aux = net.update_net(state, optimizer, loss, 1.0)
    np.testing.assert_allclose((state.params["x"], value, aux["seen"]), (2.7, 4.5, 3.0), rtol=1e-6)


def test_training_call_returns_new_statistics():
    inputs = jnp.arange(6.0).reshape(2, 3)
    state = net.init_net(Affine(), optax.sgd(0.1), jax.random.key(0), inputs)
    _, stats = net.apply_train(Affine(), state.params, state.batch_stats, inputs)
    assert not np.allclose(stats["BatchNorm_0"]["mean"], state.batch_stats["BatchNorm_0"]["mean"])


def test_trained_parameters_are_transferred_but_for_the_head():
    trained = {"unet": {"conv": np.ones(2), "head": {"kernel": np.ones(3), "bias": np.ones(1)}}}
    fresh = {"unet": {"conv": np.zeros(2), "head": {"kernel": np.zeros(5), "bias": np.zeros(2)}}}
    found = net.transfer(trained, fresh, but="head")["unet"]
    np.testing.assert_array_equal(found["conv"], [1, 1])
    np.testing.assert_array_equal(found["head"]["kernel"], np.zeros(5))
    np.testing.assert_array_equal(found["head"]["bias"], np.zeros(2))
