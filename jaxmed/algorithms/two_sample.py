"""Classifier two-sample tests: networks that tell synthetic from real images, and what they see in both.

Several networks of one kind are trained side by side, each with its own initial values and batches. What they
score on images that they have not seen says how far the two sets are apart: where they are drawn alike,
recall and specificity sum to 1 on average.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, UInt8

from jaxmed.algorithms.replicas import replicate
from jaxmed.algorithms.supervised import supervised
from jaxmed.metrics import distributions
from jaxmed.train.fit import Algorithm
from jaxmed.types import PyTree

_IMAGES_AT_ONCE = 256


def two_sample_test(model: nn.Module, optimizer: optax.GradientTransformation, num_members: int) -> Algorithm:
    """Makes the algorithm that trains the networks.

    Batches have `image` (batch, members, height, width, channels) uint8 and `label` (batch, members): 1 for
    synthetic images, 0 for real ones. Both sets have 8 bits, as differences in the coding would be learned
    first.

    Args:
        model: gives one logit per image, (batch,).
        optimizer: of each network.
        num_members: how many networks in one batched computation. On a CPU three took 1.2 (20 x 20 pixels) to
            4.6 times (80 x 80, wider) as long as one after the other.

    Reference: Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, section 3.
    """
    member = supervised(
        model,
        optimizer,
        prepare=lambda batch, key: (as_input(batch["image"]), batch["label"].astype(jnp.float32)),
        loss=optax.sigmoid_binary_cross_entropy,
    )
    return replicate(member, num_members)


def as_input(images: Any) -> jax.Array:
    """8 bits to [0, 1]."""
    return jnp.asarray(images).astype(jnp.float32) / 255


def judge(
    model: nn.Module,
    variables: PyTree,
    real: UInt8[np.ndarray, "real height width channels"],
    synthetic: UInt8[np.ndarray, "synthetic height width channels"],
) -> dict[str, Float[np.ndarray, " members"]]:
    """What trained networks make of test images.

    Args:
        model: of the networks, with a method `features`, (batch, features) of images in [0, 1].
        variables: stacked, of all networks.
        real: test images, as many as synthetic ones for a fair Frechet distance.
        synthetic: test images.

    Returns:
        By name, one number for each network: "recall", the share of synthetic images that are found out;
        "specificity", that of real ones taken for real; "Mahalanobis distance", the mean distance of the
        synthetic images' features from the distribution of the real ones', with Ledoit and Wolf's
        shrinkage; "Frechet distance", squared, between both.
    """
    columns: dict[str, list[float]] = {}
    for of_real, of_synthetic in zip(
        compute_features(model, variables, real), compute_features(model, variables, synthetic), strict=True
    ):
        found = {
            "Mahalanobis distance": distributions.mahalanobis_distances(of_synthetic, of_real).mean(),
            "Frechet distance": distributions.frechet_distance(of_synthetic, of_real),
        }
        for name, value in found.items():
            columns.setdefault(name, []).append(float(value))
    is_synthetic = {
        name: compute_probabilities(model, variables, images) > 0.5
        for name, images in (("real", real), ("synthetic", synthetic))
    }
    return {
        "recall": is_synthetic["synthetic"].mean(axis=1),
        "specificity": 1 - is_synthetic["real"].mean(axis=1),
        **{name: np.array(values) for name, values in columns.items()},
    }


def compute_features(
    model: nn.Module, variables: PyTree, images: UInt8[np.ndarray, "images height width channels"]
) -> Float[np.ndarray, "members images features"]:
    """Features that each network has of the images."""
    return _each(_features, model, variables, images)


def compute_probabilities(
    model: nn.Module, variables: PyTree, images: UInt8[np.ndarray, "images height width channels"]
) -> Float[np.ndarray, "members images"]:
    """Probabilities of being synthetic that each network gives the images."""
    return _each(_probabilities, model, variables, images)


def _each(function: Any, model: nn.Module, variables: PyTree, images: np.ndarray) -> np.ndarray:
    """Network by network on the host, as CPUs compute convolutions slowly in a loop of the device."""
    starts, found = range(0, len(images), _IMAGES_AT_ONCE), []
    for number in range(len(jax.tree.leaves(variables)[0])):
        own = jax.tree.map(lambda leaf, n=number: leaf[n], variables)
        parts = [function(model, own, images[start : start + _IMAGES_AT_ONCE]) for start in starts]
        found.append(np.concatenate([np.asarray(part) for part in parts]))
    return np.stack(found)


@functools.partial(jax.jit, static_argnums=0)
def _features(model: nn.Module, variables: PyTree, images: jax.Array) -> jax.Array:
    return jnp.asarray(model.apply(variables, as_input(images), method="features"))


@functools.partial(jax.jit, static_argnums=0)
def _probabilities(model: nn.Module, variables: PyTree, images: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(jnp.asarray(model.apply(variables, as_input(images), train=False)))
