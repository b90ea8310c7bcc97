"""Replicas in groups: consecutive members, as many in every group, on examples that the group shares."""

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxmed.algorithms import replicas
from jaxmed.algorithms.supervised import supervised
from jaxmed.train.fit import Algorithm
from jaxmed.types import Leaf, PyTree

_cross_entropy = optax.softmax_cross_entropy_with_integer_labels


def predict(model: nn.Module, variables: PyTree, images: Mapping[str, Leaf]) -> dict[str, jax.Array]:
    """Outputs of every group on its own images.

    Args:
        model: of the members.
        variables: of all members, stacked, group by group.
        images: of each group, (images, ...).

    Returns:
        By group (members of the group, images, ...).
    """
    each = len(jax.tree.leaves(variables)[0]) // len(images)
    outputs = {}
    for number, (name, one) in enumerate(images.items()):
        own = jax.tree.map(lambda leaf, n=number: leaf[n * each : (n + 1) * each], variables)
        outputs[name] = replicas.predict(model, own, one)
    return outputs


def mean_losses(
    model: nn.Module,
    loss: Callable[[jax.Array, jax.Array], jax.Array],
    variables: PyTree,
    images: Mapping[str, Leaf],
    targets: Mapping[str, Leaf],
) -> jax.Array:
    """Mean loss (members,) of every member on the examples of its group, in evaluation mode.

    Args:
        model: of the members.
        loss: `(outputs (members, images, ...), targets (1, images, ...)) -> (members, images)`.
        variables: as in `predict`.
        images: as in `predict`.
        targets: of the images of each group, (images, ...).
    """
    outputs = predict(model, variables, images)
    losses = [loss(own, jnp.asarray(targets[name])[None]).mean(axis=1) for name, own in outputs.items()]
    return jnp.concatenate(losses)


def make_classifiers(
    model: nn.Module, optimizer: optax.GradientTransformation, num_members: int
) -> Algorithm:
    """Trains classifiers of `image` by the cross-entropy of `label`; batches as in `replicas.replicate`."""
    member = supervised(
        model,
        optimizer,
        prepare=lambda batch, key: (batch["image"], batch["label"]),
        loss=_cross_entropy,
    )
    return replicas.replicate(member, num_members, packing="auto")


def keep_best_classifiers(
    classifiers: Algorithm,
    model: nn.Module,
    images: Mapping[str, Leaf],
    labels: Mapping[str, Leaf],
    refresh_every: int,
) -> Algorithm:
    """Keeps each classifier's best variables by its cross-entropy on the validation images of its group.

    Args:
        classifiers: from `make_classifiers`.
        model: of one of them.
        images: see `predict`.
        labels: of the images of each group.
        refresh_every: see `replicas.keep_best`.
    """

    def validation_loss(variables: PyTree) -> jax.Array:
        return mean_losses(model, _cross_entropy, variables, images, labels)

    return replicas.keep_best(classifiers, validation_loss, refresh_every=refresh_every)
