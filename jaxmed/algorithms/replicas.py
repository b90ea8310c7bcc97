"""Many networks of one shape trained side by side in one program: seeds, classes, folds, training sets."""

import functools
from collections.abc import Callable, Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import DTypeLike

from jaxmed.ops import backend
from jaxmed.train.fit import Algorithm
from jaxmed.train.mesh import NO_VOLUMES, Volumes
from jaxmed.types import Leaf, PyTree

Packing = Literal["vmap", "turns", "auto"]


@struct.dataclass
class ReplicasState:
    """Attributes: step, the number of updates so far; members, the members' states, stacked along axis 0."""

    step: Leaf
    members: PyTree


def replicate(algorithm: Algorithm, num_members: int, *, packing: Packing = "vmap") -> Algorithm:
    """Makes the algorithm that trains members of one kind, each on its part of the batch with its own key.

    Args:
        algorithm: of a member; its `refresh` is not called.
        num_members: how many; axis 1 of every array in the batch, (batch, members, ...).
        packing: "vmap" computes all members in one batch. In "turns" they follow one another within the step:
            less memory, and on CPUs, which compute the grouped convolutions of a batch slowly, several
            times faster for members that convolve (benchmarks/notes.md). "auto", for such members, takes
            turns on CPUs alone. Only in turns may a mesh split the depth of the members' volumes, which
            convolutions with a kernel for each member would collect on every device.

    Returns:
        An algorithm with the metrics of the members averaged, and the states of a `ReplicasState`.
    """
    takes_turns = packing == "turns" or (packing == "auto" and backend.on_cpu())

    def by_member(batch):
        return {name: jnp.moveaxis(jnp.asarray(array), 1, 0) for name, array in batch.items()}

    def init(key, batch):
        # The batch supplies shapes only, and may be a stand-in for arrays.
        example = {name: jnp.zeros((x.shape[0], *x.shape[2:]), x.dtype) for name, x in batch.items()}
        # In one batch whatever the packing: initial values need no convolutions.
        members = jax.vmap(lambda key: algorithm.init(key, example))(jax.random.split(key, num_members))
        return ReplicasState(step=jnp.zeros((), jnp.int32), members=members)

    def step(state, batch, key):
        args = state.members, by_member(batch), jax.random.split(key, num_members)
        if takes_turns:
            members, metrics = _in_turns(algorithm.step, num_members, args)
        else:
            members, metrics = jax.vmap(algorithm.step)(*args)
        metrics = {name: values.mean(axis=0) for name, values in metrics.items()}
        return ReplicasState(step=state.step + 1, members=members), metrics

    names, depth_axis = algorithm.volumes if takes_turns else NO_VOLUMES
    return Algorithm(init, step, volumes=Volumes(names, depth_axis + 1))


def _in_turns(function: Callable[..., PyTree], num_members: int, args: tuple[PyTree, ...]) -> PyTree:
    """Like `jax.vmap(function)(*args)`, one member after the other."""
    if not backend.on_cpu():
        return jax.lax.map(lambda own: function(*own), args)
    # XLA computes convolutions inside loops of CPU programs many times slower.
    traced_once = jax.jit(function)
    each = [traced_once(*_member(args, number)) for number in range(num_members)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)


def _member(tree: PyTree, number: int | jax.Array) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[number], tree)


def batch_shapes(
    batch_size: int, num_members: int, **examples: tuple[Sequence[int], DTypeLike]
) -> dict[str, jax.ShapeDtypeStruct]:
    """Stand-ins for a batch, (batch_size, num_members, *shape), from the shapes and dtypes of examples."""
    lead = (batch_size, num_members)
    return {name: jax.ShapeDtypeStruct((*lead, *shape), dtype) for name, (shape, dtype) in examples.items()}


@struct.dataclass
class KeptState:
    """Attributes: step; ensemble, the members; best, their best variables; best_loss, (members,)."""

    step: Leaf
    ensemble: ReplicasState
    best: PyTree
    best_loss: Leaf


def keep_best(
    algorithm: Algorithm, validation_loss: Callable[[PyTree], jax.Array], *, refresh_every: int
) -> Algorithm:
    """Keeps each member's best variables, as a look at validation data finds them in every refresh.

    Args:
        algorithm: from `replicate`; its members' states have a `net`.
        validation_loss: from the members' variables, stacked, to (members,).
        refresh_every: steps between looks. The state after the last step is looked at by one more refresh.

    Returns:
        An algorithm with the states of a `KeptState`.
    """

    def init(key, batch):
        ensemble = algorithm.init(key, batch)
        best = ensemble.members.net.variables
        worst = jnp.full((len(jax.tree.leaves(best)[0]),), 1e30)
        return KeptState(jnp.zeros((), jnp.int32), ensemble, best, worst)

    def refresh(state):
        variables = state.ensemble.members.net.variables
        loss = validation_loss(variables)
        better = loss < state.best_loss

        def choose(new, old):
            return jnp.where(better.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

        best = jax.tree.map(choose, variables, state.best)
        return state.replace(best=best, best_loss=jnp.where(better, loss, state.best_loss))

    return Algorithm(init, _step_beside_best(algorithm), refresh, refresh_every, algorithm.volumes)


@functools.lru_cache(maxsize=16)
def _step_beside_best(algorithm: Algorithm) -> Callable:
    """One object for one algorithm, whatever its members are validated on, so that it is compiled once."""

    def step(state, batch, key):
        ensemble, metrics = algorithm.step(state.ensemble, batch, key)
        return state.replace(step=state.step + 1, ensemble=ensemble), metrics

    return step


def mean_losses(
    model: nn.Module,
    loss: Callable[[jax.Array, jax.Array], jax.Array],
    variables: PyTree,
    inputs: jax.Array,
    targets: jax.Array,
) -> jax.Array:
    """Mean loss (members,) of every member on examples of its own, member by member, in evaluation mode.

    Args:
        model: of the members.
        loss: `(outputs, targets) -> (examples,)`.
        variables: of the members, stacked.
        inputs: (members, examples, ...).
        targets: (members, examples, ...).
    """
    return jnp.stack(
        [_mean_loss(model, loss, variables, inputs, targets, number) for number in range(len(inputs))]
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def _mean_loss(
    model: nn.Module,
    loss: Callable[[jax.Array, jax.Array], jax.Array],
    variables: PyTree,
    inputs: Leaf,
    targets: Leaf,
    number: Leaf,
) -> jax.Array:
    own, images, labels = _member((variables, inputs, targets), number)
    return loss(jnp.asarray(model.apply(own, images, train=False)), labels).mean()


_IMAGES_AT_ONCE = 500


def predict(model: nn.Module, variables: PyTree, images: Leaf) -> jax.Array:
    """Outputs (members, images, ...) of stacked variables, member by member, on the same images."""
    starts = range(0, len(images), _IMAGES_AT_ONCE)
    parts = [images[start : start + _IMAGES_AT_ONCE] for start in starts]
    members = range(len(jax.tree.leaves(variables)[0]))
    return jnp.stack(
        [jnp.concatenate([_apply(model, variables, part, number) for part in parts]) for number in members]
    )


@functools.partial(jax.jit, static_argnums=0)
def _apply(model: nn.Module, variables: PyTree, images: Leaf, number: Leaf) -> jax.Array:
    return jnp.asarray(model.apply(_member(variables, number), images, train=False))
