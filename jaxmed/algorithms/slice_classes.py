"""A classifier of slices, trained for its features: across which axis a slice lies, where, in which volume.

Axis and place are known of every volume and need no labels; a label of the whole volume may be added. To
tell places apart a network must see outlines and inner structures, to tell labels what differs between
subjects.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmed.algorithms.supervised import supervised
from jaxmed.losses.cross_entropy import softmax_cross_entropy
from jaxmed.ops.example_keys import example_keys
from jaxmed.train.fit import Algorithm
from jaxmed.types import Leaf, PyTree

_NUM_AXES = 3


@dataclass(frozen=True)
class SliceClasses:
    """What slices are told apart by: one class for each axis, place along it, and label of the volume.

    Slices come from the middle half of each axis, whose places are bands of equal width. Along a mirrored
    axis one side cannot be told from the other, and places are distances from the middle.

    Attributes:
        num_places: bands of each axis.
        num_labels: labels of volumes, 1 where they have none.
        mirrored: axes along which a volume looks like its mirror image, as a head does from right to left.
    """

    num_places: int = 5
    num_labels: int = 1
    mirrored: tuple[int, ...] = ()

    @property
    def num_classes(self) -> int:
        """Of a slice."""
        return _NUM_AXES * self.num_places * self.num_labels

    def draw(
        self, volumes: jax.Array, labels: jax.Array, key: jax.Array, num_draws: int
    ) -> tuple[jax.Array, jax.Array]:
        """Random slices across each axis of every volume.

        Args:
            volumes: (batch, *shape, channels), of any dtype.
            labels: (batch,), from 0.
            key: of the places.
            num_draws: slices across each axis.

        Returns:
            Slices (batch * num_draws * 3, side, side, channels), volume by volume and with the axes in turn,
            zeros around them up to the longest side; and their classes (batch * num_draws * 3,).
        """
        sizes = volumes.shape[1:-1]
        shape, side = np.array(sizes), max(sizes)
        first, last = shape[None] // 4, shape[None] - shape[None] // 4

        def take(volume, label, index):
            slices = [_pad(jnp.take(volume, index[axis], axis), side) for axis in range(_NUM_AXES)]
            place = jnp.arange(_NUM_AXES) * self.num_places + self._places(index, shape)
            return jnp.stack(slices), place * self.num_labels + label

        def draw_one(volume, label, key):
            indices = jax.random.randint(key, (num_draws, _NUM_AXES), first, last)
            return jax.vmap(take, in_axes=(None, None, 0))(volume, label, indices)

        slices, classes = jax.vmap(draw_one)(volumes, labels, example_keys(key, len(volumes)))
        return slices.reshape(-1, *slices.shape[3:]), classes.reshape(-1)

    def _places(self, index: jax.Array, shape: np.ndarray) -> jax.Array:
        """In whole numbers, so that every device has the same borders between bands."""
        doubled = 2 * index + 1
        along = (2 * doubled - shape) * self.num_places // (2 * shape)
        from_middle = 2 * jnp.abs(doubled - shape) * self.num_places // shape
        is_mirrored = np.isin(np.arange(_NUM_AXES), self.mirrored)
        return jnp.where(is_mirrored, from_middle, along).clip(0, self.num_places - 1)

    def hits(self, logits: jax.Array, classes: jax.Array) -> dict[str, jax.Array]:
        """Whether the most probable axis and place, and the most probable label, are right: (slices,)."""
        found = jax.nn.softmax(logits).reshape(len(logits), -1, self.num_labels)
        place, label = found.sum(axis=2).argmax(axis=1), found.sum(axis=1).argmax(axis=1)
        return {"place": place == classes // self.num_labels, "label": label == classes % self.num_labels}


def slice_classifier(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    classes: SliceClasses,
    to_inputs: Callable[[jax.Array], jax.Array],
    *,
    num_draws: int = 8,
) -> Algorithm:
    """The supervised training of a network of slices on batches with `volume` and `label`.

    Args:
        model: from slices to `classes.num_classes` logits, called as `model(slices, train=...)`.
        optimizer: of its parameters.
        classes: what it learns.
        to_inputs: from the batch's numbers to those that the model takes.
        num_draws: slices across each axis of a volume in a step.

    Returns:
        An algorithm as `supervised` makes it; metrics are `loss`, and the shares `place` and `label` of
        slices whose axis and place, and whose label are told right.
    """

    def prepare(batch, key):
        slices, targets = classes.draw(batch["volume"], batch["label"], key, num_draws)
        return to_inputs(slices), targets

    def measure(logits, targets):
        return {name: hit.mean() for name, hit in classes.hits(logits, targets).items()}

    return supervised(model, optimizer, prepare=prepare, loss=softmax_cross_entropy, measure=measure)


def score_slices(
    model: Any,
    variables: PyTree,
    classes: SliceClasses,
    to_inputs: Callable[[jax.Array], jax.Array],
    labelled: Iterable[tuple[Leaf, Leaf]],
    *,
    num_draws: int = 32,
) -> dict[str, np.ndarray]:
    """How much of what slices are told apart by a network knows of volumes, such as unseen ones.

    Args:
        model: see `slice_classifier`.
        variables: trained.
        classes: what it was trained on.
        to_inputs: see `slice_classifier`.
        labelled: volumes (*shape, channels), each with its label.
        num_draws: slices across each axis, at the same random places in all volumes.

    Returns:
        By volume the shares `place` and `label` of slices that are told right, (volumes,) each.
    """

    @jax.jit
    def score(variables, volume, label):
        one = volume[None], jnp.asarray(label)[None]
        slices, targets = classes.draw(*one, jax.random.key(0), num_draws)
        logits = model.apply(variables, to_inputs(slices), train=False)
        return {name: hit.mean() for name, hit in classes.hits(logits, targets).items()}

    scores = [jax.device_get(score(variables, volume, label)) for volume, label in labelled]
    return {name: np.array([one[name] for one in scores]) for name in scores[0]}


def _pad(image: jax.Array, side: int) -> jax.Array:
    missing = [side - size for size in image.shape[:2]]
    return jnp.pad(image, [*((one // 2, one - one // 2) for one in missing), (0, 0)])
