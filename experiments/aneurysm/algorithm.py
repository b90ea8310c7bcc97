"""The network, and patches that are turned, shifted and distorted on the device with their spheres."""

import functools
from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from data_pipelines.sphere_patches import FULL_SCALE
from experiments.aneurysm.config import Config, Phantom
from experiments.aneurysm.data import limits
from experiments.contract import Data
from jaxmed.algorithms.supervised import supervised
from jaxmed.augment import warp
from jaxmed.losses import cross_entropy, focal, overlap
from jaxmed.metrics import confusion
from jaxmed.models.unet import UNet
from jaxmed.ops import spheres
from jaxmed.train.fit import Algorithm


def make_model(config: Config) -> UNet:
    """The 3-D U-Net: 16,317,921 parameters with the paper's widths.

    The published 16,320,257 hold 2,336 biases before batch normalisation, which cancels them.
    """
    return UNet(
        widths=config.widths,
        halved_first=True,
        norm="batch",
        upsampling="nearest",
        use_bias=False,
        kernel_init=nn.initializers.glorot_uniform(),
        dtype=jnp.dtype(config.dtype),
    )


def make_algorithm(config: Config, data: Data | None) -> Algorithm:
    """Supervised training with Adam; methods but the focal loss differ in their data alone."""
    loss = "focal" if config.method == "focal" else "proposed"
    return _algorithm(replace(config, method=loss, fold=0, num_validation=0, phantom=Phantom()))


@functools.lru_cache(maxsize=8)
def _algorithm(config: Config) -> Algorithm:
    return supervised(
        make_model(config),
        optax.adam(config.learning_rate),
        prepare=functools.partial(augment, config),
        loss=focal.binary_focal if config.method == "focal" else cross_entropy.binary_cross_entropy,
        measure=functools.partial(watch, config.threshold),
        volumes=("image",),
    )


def watch(threshold: float, logits: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
    """What kappa and Dice of the batch's voxels are made of, and the Dice coefficient that Keras shows.

    Args:
        threshold: of the probability.
        logits: (batch, patch, patch, patch, 1).
        labels: the same shape.

    Returns:
        The shares of `confusion.shares`, and "soft dice" of the whole batch (`overlap.soft_dice`).
    """
    probabilities = jax.nn.sigmoid(logits.astype(jnp.float32))
    lost = overlap.dice_loss(probabilities[None], labels[None])
    return {**confusion.shares(probabilities > threshold, labels > 0), "soft dice": 1 - lost[0]}


def augment(config: Config, batch, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Draws and applies rotation, shift and, where the batch says so, the distortion of the lattice.

    The batch is as `data.example_batch` says.

    Returns:
        The network's inputs in [0, 1] and its targets, both (batch, patch, patch, patch, 1) float32.
    """
    size = (config.patch_size,) * 3
    drawn = warp.draw_warp(key, batch["image"].shape[0], **limits(config) | {"max_distortion": 1.0})
    drawn = drawn._replace(displacement=drawn.displacement * batch["distortion"][:, None, None, None, None])
    positions = warp.warp_positions(drawn, size)
    images = warp.sample(batch["image"], positions) / FULL_SCALE
    return images[..., None], spheres.inside_spheres(positions, batch["spheres"])[..., None]
