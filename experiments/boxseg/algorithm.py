"""The segmentation network with its losses, and the classifier of patches."""

import functools

import jax
import jax.numpy as jnp
import optax

from experiments.boxseg.config import Classifier, Config, without_labels
from experiments.contract import Data
from jaxmed.algorithms.supervised import supervised
from jaxmed.augment import intensity
from jaxmed.losses import box_constraints, cross_entropy
from jaxmed.models.fusion_net import FusionNet
from jaxmed.models.vgg import VGG
from jaxmed.train.fit import Algorithm


def make_model(config: Config) -> FusionNet:
    """The 2.5-D residual U-Net (19,637,986 parameters with the paper's widths)."""
    options = {"initial_probability": config.initial_probability, "dtype": jnp.dtype(config.dtype)}
    return FusionNet(widths=config.widths, **options)


def make_classifier(settings: Classifier) -> VGG:
    """VGG-16 for patches (33,604,290 parameters): what its pools leave of one is a single pixel."""
    options = {"conv_bias": True, "batch_norm": False, "dense_std": settings.dense_std}
    return VGG(2, settings.stages, settings.hidden, pooled_size=1, **options)


def make_algorithm(config: Config, data: Data | None) -> Algorithm:
    """Training of the segmentation network; the same object for all kinds and sources of boxes."""
    return _make_algorithm(without_labels(config))


@functools.lru_cache(maxsize=8)
def _make_algorithm(config: Config) -> Algorithm:
    model, optimizer = make_model(config), optax.adam(config.learning_rate)
    if config.method == "full":
        return supervised(
            model,
            optimizer,
            prepare=lambda batch, _: (network_input(batch), batch["label"].astype(jnp.float32)),
            loss=lambda outputs, label: cross_entropy.binary_cross_entropy(log_odds(outputs), label),
        )
    return supervised(
        model,
        optimizer,
        prepare=lambda batch, _: (network_input(batch), batch["box"]),
        loss=lambda outputs, boxes, sharpness: box_loss(config, log_odds(outputs), boxes, sharpness),
        schedule=functools.partial(sharpness_at, config),
    )


@functools.lru_cache(maxsize=8)
def make_classifier_training(settings: Classifier) -> Algorithm:
    """Training of the classifier with cross-entropy."""

    def prepare(batch, key):
        return intensity.normalise_by(batch["patch"], batch["intensity"])[..., None], batch["label"]

    optimizer, loss = optax.adam(settings.learning_rate), cross_entropy.softmax_cross_entropy
    return supervised(make_classifier(settings), optimizer, prepare=prepare, loss=loss)


def box_loss(config: Config, logits: jax.Array, boxes: jax.Array, sharpness: jax.Array) -> jax.Array:
    """Tightness and size of the foreground and an empty background (section 3.3), (batch,).

    `logits` are (batch, height, width) log-odds, `boxes` (batch, 4), `sharpness` the barriers' t.
    """
    probabilities = jax.nn.sigmoid(logits)
    given = (probabilities, boxes, sharpness)
    area = (256 / config.image_size) ** 2  # t and the weights are for areas on the paper's slices
    tightness = box_constraints.tightness(*given, stripe=config.stripe, pixel_area=area)
    size = box_constraints.box_size(*given, shares=config.size_shares, pixel_area=area)
    if config.outside == "cross_entropy":
        outside = box_constraints.background_cross_entropy(logits, boxes)
    else:
        outside = box_constraints.emptiness(probabilities, boxes, sharpness)
    return config.tightness_weight * tightness + config.size_weight * size + outside


def sharpness_at(config: Config, step: jax.Array) -> jax.Array:
    """The barriers' t at a step: it grows by `sharpness_growth` from each epoch to the next."""
    epoch = step * config.num_epochs // max(config.num_steps, 1)
    return config.sharpness * config.sharpness_growth ** epoch.astype(jnp.float32)


def network_input(batch) -> jax.Array:
    """The slices of a batch, normalised, (batch, height, width, 3)."""
    return intensity.normalise_by(batch["image"], batch["intensity"])


def log_odds(outputs: jax.Array) -> jax.Array:
    """Of the foreground, from the logits of background and foreground, (batch, height, width)."""
    return outputs[..., 1] - outputs[..., 0]
