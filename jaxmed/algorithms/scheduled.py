"""Supervised training whose loss depends on the step: constraints that sharpen, weights that ramp up."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxmed.algorithms.supervised import SupervisedState
from jaxmed.train import net
from jaxmed.train.fit import Algorithm
from jaxmed.types import Batch


def scheduled(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    *,
    prepare: Callable[[Batch], tuple[jax.Array, jax.Array]],
    loss: Callable[[jax.Array, jax.Array, jax.Array], jax.Array],
    schedule: Callable[[jax.Array], jax.Array],
) -> Algorithm:
    """Makes the algorithm that minimises the mean over the batch of a loss with one scheduled number.

    Args:
        model: called as `model(inputs, train=...)`.
        optimizer: of the model's parameters.
        prepare: `batch -> (inputs, targets)`: casts and normalises on the device.
        loss: `(outputs, targets, value) -> (batch,)`, one number per example.
        schedule: `step -> value`, both scalars on the device.

    Returns:
        An algorithm whose state is a `SupervisedState` and whose metrics are `loss` and `schedule`.
    """

    def batch_loss(params, batch_stats, inputs, targets, value):
        outputs, batch_stats = net.apply_train(model, params, batch_stats, inputs)
        return loss(outputs, targets, value).mean(), (batch_stats, {})

    def init(key, batch):
        shape = jax.eval_shape(lambda b: prepare(b)[0], batch)
        state = net.init_net(model, optimizer, key, jnp.zeros(shape.shape, shape.dtype))
        return SupervisedState(step=jnp.zeros((), jnp.int32), net=state)

    def step(state, batch, key):
        value = jnp.asarray(schedule(state.step), jnp.float32)
        new_net, mean, _ = net.update_net(state.net, optimizer, batch_loss, *prepare(batch), value)
        return SupervisedState(step=state.step + 1, net=new_net), {"loss": mean, "schedule": value}

    return Algorithm(init, step)
