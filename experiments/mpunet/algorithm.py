"""The two networks, augmentation on the device, and all repeats of a cell trained side by side."""

import functools
from dataclasses import replace

import jax
import optax

from experiments.contract import Data
from experiments.mpunet.config import Config, Dataset
from jaxmed.algorithms import replicas
from jaxmed.algorithms.supervised import supervised
from jaxmed.augment import labelled
from jaxmed.losses import cross_entropy
from jaxmed.models.unet import UNet
from jaxmed.ops.sparse_annotation import UNKNOWN
from jaxmed.train.fit import Algorithm


def make_model(config: Config) -> UNet:
    """The 2-D U-Net (31,044,289 trainable parameters in the paper's size), or Çiçek's 3-D one."""
    unet = functools.partial(UNet, norm="batch", use_bias=config.use_bias)
    if config.is_planar:
        planar = functools.partial(unet, upsampling="nearest_conv", normalize_up=True)
        return planar(widths=config.widths, up_bias=config.use_bias)
    return unet(widths=config.widths_3d, halved_first=True, up_bias=False)


def make_algorithm(config: Config, data: Data | None) -> Algorithm:
    """Adam on the masked cross-entropy, for all repeats; cells of the grid share one program."""
    return _make_ensemble(without_cell(config))


def without_cell(config: Config) -> Config:
    """What programs depend on: the cell of the grid has the values of the class."""
    dataset: Dataset = "mitochondria"
    return replace(config, dataset=dataset, num_annotation_planes=16, num_training_planes=512)


@functools.lru_cache(maxsize=8)
def _make_ensemble(config: Config) -> Algorithm:
    def prepare(batch, key):
        ranges = {"max_degrees": config.max_degrees, "max_scale": config.max_scale}
        images, labels = labelled.augment_labelled(
            key,
            batch["image"],
            batch["label"],
            batch.get("spacing"),
            UNKNOWN,
            strength=config.intensity,
            **ranges,
        )
        return images[..., None], labels[..., None]

    member = supervised(
        make_model(config),
        optax.adam(config.learning_rate, eps=1e-7),
        prepare=prepare,
        loss=masked_loss,
        volumes=() if config.is_planar else ("image", "label"),
    )
    return replicas.replicate(member, config.num_repeats, packing=config.packing)


def masked_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross-entropy of what is annotated, (batch,)."""
    return cross_entropy.masked_binary_cross_entropy(logits, labels > 0, labels != UNKNOWN)
