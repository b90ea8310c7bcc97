"""Many networks of one shape trained side by side in one program: seeds, classes, folds, training sets."""

import jax
import jax.numpy as jnp
from flax import struct

from jaxmed.train.fit import Algorithm
from jaxmed.types import Leaf, PyTree


@struct.dataclass
class ReplicasState:
    """Attributes: step, the number of updates so far; members, the members' states, stacked along axis 0."""

    step: Leaf
    members: PyTree


def replicate(algorithm: Algorithm, num_members: int, *, one_by_one: bool = False) -> Algorithm:
    """Makes the algorithm that trains members of one kind, each on its part of the batch with its own key.

    Args:
        algorithm: of a member; its `refresh` is not called.
        num_members: how many; axis 1 of every array in the batch, (batch, members, ...).
        one_by_one: let the members take turns within the step instead of computing in one batch, with less
            memory: on CPUs faster for convolutions, which know no batch of kernels there.

    Returns:
        An algorithm with the metrics of the members averaged, and the states of a `ReplicasState`.
    """

    def each(function, *args):
        return jax.lax.map(lambda xs: function(*xs), args) if one_by_one else jax.vmap(function)(*args)

    def by_member(batch):
        return {name: jnp.moveaxis(jnp.asarray(array), 1, 0) for name, array in batch.items()}

    def init(key, batch):
        # The batch supplies shapes only, and may be a stand-in for arrays.
        example = {name: jnp.zeros((x.shape[0], *x.shape[2:]), x.dtype) for name, x in batch.items()}
        members = each(lambda key: algorithm.init(key, example), jax.random.split(key, num_members))
        return ReplicasState(step=jnp.zeros((), jnp.int32), members=members)

    def step(state, batch, key):
        keys = jax.random.split(key, num_members)
        members, metrics = each(algorithm.step, state.members, by_member(batch), keys)
        metrics = {name: values.mean(axis=0) for name, values in metrics.items()}
        return ReplicasState(step=state.step + 1, members=members), metrics

    return Algorithm(init, step)
