"""The networks, and their training, which is the same for every method."""

import functools

import jax
import jax.numpy as jnp
import optax

from experiments.activelearn.config import Config, without_method
from experiments.contract import Data
from jaxmed.algorithms.supervised import supervised
from jaxmed.augment import crops
from jaxmed.losses import cross_entropy
from jaxmed.models.classifier import Classifier
from jaxmed.models.mobilenet import MobileNetV2
from jaxmed.models.resnet import ResNet
from jaxmed.train import optimizers
from jaxmed.train.fit import Algorithm

_HIDDEN, _DROPOUT = 320, 0.2
"""Of the released code's head on MobileNetV2: dropout, a linear layer, and the last one."""

_FLIP_PROBABILITY = 0.5


def make_model(config: Config) -> Classifier:
    """ResNet-18 with the stem for small images, or MobileNetV2 with the released code's head."""
    study, dtype = config.chosen, jnp.dtype(config.dtype)
    if study.network == "resnet":
        return Classifier(ResNet(study.widths, study.blocks, study.stem_stride, dtype), study.num_classes)
    return Classifier(MobileNetV2(dtype=dtype), study.num_classes, (_HIDDEN,), _DROPOUT)


def make_algorithm(config: Config, data: Data | None) -> Algorithm:
    """Supervised training with cross-entropy; the same object for all methods, which only select."""
    return _make_algorithm(without_method(config))


@functools.lru_cache(maxsize=8)
def _make_algorithm(config: Config) -> Algorithm:
    def prepare(batch, key):
        return augment(config, batch["image"], key), batch["label"]

    schedule = optimizers.warmup_cosine(config.chosen.learning_rate, config.num_steps)
    return supervised(
        make_model(config),
        optax.sgd(schedule, momentum=config.momentum or None),
        prepare=prepare,
        loss=cross_entropy.softmax_cross_entropy,
    )


def augment(config: Config, images: jax.Array, key: jax.Array) -> jax.Array:
    """Crops, flips and normalises: (batch, stored_size, stored_size, channels) in 0 to 255 to [-1, 1]."""
    study, size = config.chosen, config.chosen.image_size
    padded = crops.pad_images(images, study.padding)
    room = padded.shape[1] - size
    probability = _FLIP_PROBABILITY if study.flip else 0.0
    draw = crops.draw_crop(key, len(images), (room, room), flip_probability=probability)
    return _normalise(crops.apply_crop(padded, draw, (size, size)))


def crop_centre(config: Config, images: jax.Array) -> jax.Array:
    """The middle of the images, normalised: what the network sees in evaluation."""
    size = config.chosen.image_size
    return _normalise(crops.crop_centre(crops.pad_images(images, config.chosen.padding), (size, size)))


def _normalise(images: jax.Array) -> jax.Array:
    return images.astype(jnp.float32) / 127.5 - 1
