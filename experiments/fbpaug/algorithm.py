"""The network, and the five intensity augmentations on the device."""

import jax
import jax.numpy as jnp
import optax

from experiments.contract import Data
from experiments.fbpaug.config import Config
from jaxmed.algorithms.supervised import supervised
from jaxmed.augment import intensity, right_angles, sinogram
from jaxmed.losses import cross_entropy
from jaxmed.models.residual_unet import ResidualUNet
from jaxmed.train.fit import Algorithm

WINDOW_HU = (-1350.0, 150.0)
"""The window of the released code, in which every slice is seen."""


def make_model(config: Config) -> ResidualUNet:
    """The 2-D residual U-Net (8,220,577 parameters with the paper's widths)."""
    return ResidualUNet(
        widths=config.widths,
        initial_probability=config.initial_probability,
        dtype=jnp.dtype(config.dtype),
    )


def make_algorithm(config: Config, data: Data | None) -> Algorithm:
    """Supervised training with Adam and binary cross-entropy; only `prepare` knows the method."""

    def prepare(batch, key):
        return augment(config, batch["image"].astype(jnp.float32), batch["label"], key)

    return supervised(
        make_model(config),
        optax.adam(config.learning_rate),
        prepare=prepare,
        loss=cross_entropy.binary_cross_entropy,
    )


def augment(config: Config, images_hu: jax.Array, labels: jax.Array, key: jax.Array):
    """Draws and applies rotation, flips and the config's intensity augmentation.

    Args:
        config: says which.
        images_hu: (batch, height, width) slices in HU.
        labels: (batch, height, width) masks.
        key: of this step.

    Returns:
        The network's inputs and its targets, both (batch, height, width, 1) float32.
    """
    key_turn, key_method = jax.random.split(key)
    turn = right_angles.draw_right_angle(key_turn, len(images_hu), probability=config.augment_probability)
    images_hu = right_angles.apply_right_angle(images_hu, turn)
    labels = right_angles.apply_right_angle(labels.astype(jnp.float32), turn)
    unit = change_intensity(config, images_hu, key_method)
    return intensity.standardise(unit)[..., None], labels[..., None]


def change_intensity(config: Config, images_hu: jax.Array, key: jax.Array) -> jax.Array:
    """Applies the method's augmentation (section 2.2 of the paper) to part of the slices.

    FBPAug and windowing work on HU; gamma and noise on [0, 1], since the z-scored images to which the
    released code applies them are negative in part.

    Returns:
        (batch, height, width) in [0, 1] up to noise.
    """
    count, probability = len(images_hu), config.augment_probability
    if config.method == "fbpaug":
        change = sinogram.draw_kernel_change(key, count, probability=probability)
        images_hu = sinogram.change_kernel(
            images_hu, change, num_angles=config.num_angles, method=config.projection
        )
    elif config.method == "windowing":
        images_hu = intensity.apply_window(
            images_hu, intensity.draw_window(key, count, probability=probability)
        )
    unit = intensity.window_to_unit(images_hu, *WINDOW_HU)
    if config.method == "gamma":
        unit = intensity.apply_gamma(unit, intensity.draw_gamma(key, count, probability=probability))
    elif config.method == "noise":
        unit = intensity.add_noise(unit, intensity.draw_noise(key, unit.shape, probability=probability))
    return unit


def normalise(images_hu: jax.Array) -> jax.Array:
    """The network's inputs without augmentation, (batch, height, width, 1)."""
    return intensity.standardise(intensity.window_to_unit(images_hu, *WINDOW_HU))[..., None]
