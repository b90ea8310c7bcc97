"""The loss of data sets whose labels are re-encoded into the classes of one joint softmax.

Joint class 0 is the background that all share; each data set's own classes 1, 2, ... are `count` joint ones
from `first` on.

Reference: Guo et al., FS-Net: A New Paradigm of Data Expansion for Medical Image Segmentation, sections 2.1
and 2.3.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from jaxmed.losses import cross_entropy, overlap

Loss = Literal["dice", "dice_ce"]


def own_classes(values: Float[Array, "*sites classes"], first: int, count: int) -> Float[Array, "*sites own"]:
    """Picks the background and a data set's own classes out of all joint ones, along the last axis."""
    return jnp.concatenate([values[..., :1], values[..., first : first + count]], axis=-1)


def joint_loss(
    logits: Float[Array, "batch *sites classes"],
    labels: Integer[Array, "batch ..."],
    first: int,
    count: int,
    kind: Loss,
) -> Float[Array, " batch"]:
    """The loss of examples of one data set.

    Args:
        logits: (batch, *sites, joint classes).
        labels: (batch, *sites), the data set's own: 0 is the background.
        first: joint class of the data set's class 1.
        count: how many classes it has.
        kind: "dice", over the background and the data set's own classes of the joint softmax: classes of
            other sets have no overlap to speak of; or "dice_ce", with the cross-entropy over all joint
            classes added.

    Returns:
        (batch,).
    """
    labels = labels.astype(jnp.int32)
    probabilities = own_classes(jax.nn.softmax(logits, axis=-1), first, count)
    value = overlap.dice_loss(probabilities, jax.nn.one_hot(labels, 1 + count))
    if kind == "dice_ce":
        joint = jnp.where(labels > 0, labels + first - 1, 0)
        value += cross_entropy.softmax_cross_entropy(logits, joint)
    return value
