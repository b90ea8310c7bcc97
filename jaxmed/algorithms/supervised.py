"""Supervised training of one network."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxmed.ops import collectives
from jaxmed.train import net
from jaxmed.train.fit import Algorithm
from jaxmed.train.mesh import Volumes
from jaxmed.types import Batch, Leaf

_DROPOUT = 0x64726F70
"""Folded into the step's key, whose other draws `prepare` makes."""


@struct.dataclass
class SupervisedState:
    """Attributes: step, the number of updates so far; net, the network."""

    step: Leaf
    net: net.NetState


def supervised(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    *,
    prepare: Callable[[Batch, jax.Array], tuple[jax.Array, jax.Array]],
    loss: Callable[..., jax.Array],
    schedule: Callable[[jax.Array], jax.Array] | None = None,
    measure: Callable[[jax.Array, jax.Array], dict[str, jax.Array]] | None = None,
    volumes: tuple[str, ...] = (),
) -> Algorithm:
    """Makes the algorithm that minimises the mean of `loss` over the batch.

    Args:
        model: called as `model(inputs, train=...)`; may use the random key "dropout".
        optimizer: of the model's parameters.
        prepare: `(batch, key) -> (inputs, targets)`: casts, augments and normalises on the device.
        loss: `(outputs, targets) -> (batch,)`, one value per example; with a schedule
            `(outputs, targets, value)`.
        schedule: `step -> value`, scalars on the device: of a loss that sharpens, or a weight that ramps up.
        measure: `(outputs, targets) -> scalars by name`: what else is watched in training, as means over the
            batch; nothing is learned from it.
        volumes: names of the arrays of the batch that have a depth, which is axis 1 there and in the model's
            inputs; a mesh may split it.

    Returns:
        An algorithm whose state is a `SupervisedState` and whose metrics are `loss`, with a schedule
        `schedule`, and what is measured. Where the batch has a `weight` (batch,), the loss is the weighted
        mean.
    """

    def batch_loss(params, batch_stats, inputs, targets, scheduled, weight, key):
        rngs = {"dropout": jax.random.fold_in(key, _DROPOUT)}
        outputs, batch_stats = net.apply_train(model, params, batch_stats, inputs, rngs=rngs)
        values = loss(outputs, targets, *scheduled.values())
        measured = jax.lax.stop_gradient(measure(outputs, targets)) if measure else {}
        return jnp.average(values, weights=weight), (batch_stats, measured)

    def init(key, batch):
        shape = jax.eval_shape(lambda b, k: prepare(b, k)[0], batch, key)
        state = net.init_net(model, optimizer, key, jnp.zeros(shape.shape, shape.dtype))
        return SupervisedState(step=jnp.zeros((), jnp.int32), net=state)

    def step(state, batch, key):
        inputs, targets = prepare(batch, key)
        if volumes:
            inputs = collectives.split_depth(inputs)
        scheduled = {"schedule": jnp.asarray(schedule(state.step), jnp.float32)} if schedule else {}
        new_net, value, measured = net.update_net(
            state.net, optimizer, batch_loss, inputs, targets, scheduled, batch.get("weight"), key
        )
        metrics = {"loss": value, **scheduled, **measured}
        return SupervisedState(step=state.step + 1, net=new_net), metrics

    return Algorithm(init, step, volumes=Volumes(volumes))
