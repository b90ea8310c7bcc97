"""The networks of a config, their training, and volumes made by a trained generator."""

import functools
from typing import Any

import jax.numpy as jnp
import optax

from data_pipelines.head_study import to_range
from data_pipelines.readers.errors import ReadError
from experiments.contract import Data
from experiments.stylegan3d.config import Config, Networks, training_config
from jaxmed.algorithms.gan import Player, gan
from jaxmed.algorithms.slice_classes import SliceClasses, slice_classifier
from jaxmed.algorithms.style_gan import Settings, lazy_adam, style_game
from jaxmed.algorithms.style_sampling import StyleSampler
from jaxmed.models.feature_network import FeatureNetwork
from jaxmed.models.style_gan import StyleDiscriminator, StyleGenerator
from jaxmed.train import averages
from jaxmed.train.fit import Algorithm

SLICE_CLASSES = SliceClasses(num_places=5, num_labels=2, mirrored=(0,))
"""What a feature network is trained on: plane, place in it, and whether the head's ventricles are large."""

_SEED = 2021
"""Of what is drawn to be scored or shown."""


def make_generator(networks: Networks) -> StyleGenerator:
    """The generator (2,428,234 parameters at the paper preset's sizes)."""
    return StyleGenerator(
        networks.base,
        networks.num_doublings,
        networks.width,
        networks.latent_width,
        taps=networks.taps,
        dtype=jnp.dtype(networks.dtype),
        remat=networks.remat,
    )


def make_discriminator(networks: Networks) -> StyleDiscriminator:
    """The discriminator (4,215,553 parameters at the paper preset's sizes)."""
    return StyleDiscriminator(
        networks.num_doublings,
        networks.width,
        networks.taps,
        dtype=jnp.dtype(networks.dtype),
        remat=networks.remat,
    )


def make_feature_network(config: Config) -> FeatureNetwork:
    """The network of the study "features"."""
    return FeatureNetwork(SLICE_CLASSES.num_classes, config.evaluation.feature_widths)


def make_algorithm(config: Config, data: Data | None) -> Algorithm:
    """Training: of a feature network, or else of a generator, the same one for all studies of a size."""
    return _make_algorithm(training_config(config))


@functools.lru_cache(maxsize=16)
def _make_algorithm(config: Config) -> Algorithm:
    if config.study == "features":
        network, optimizer = make_feature_network(config), optax.adam(config.learning_rate)
        return slice_classifier(network, optimizer, SLICE_CLASSES, to_range)
    generator = make_generator(config.networks)
    settings = Settings(config.mixing_probability, config.path_weight, config.regularise_every)
    return gan(
        Player(generator, lazy_adam(config.learning_rate, config.regularise_every)),
        Player(make_discriminator(config.networks), lazy_adam(config.learning_rate, 0)),
        style_game(generator, settings, lambda batch: to_range(batch["volume"])),
        average_decay=averages.half_life_decay(config.average_half_life, config.batch_size),
        volumes=("volume",),
    )


def make_sampler(config: Config, state: Any) -> StyleSampler:
    """The averaged generator in use; its noise and latents do not depend on the run's seed.

    Raises:
        ReadError: the run has none.
    """
    if config.study == "features":
        raise ReadError("the run", "a feature network", "a run of another study, with a generator")
    return StyleSampler(make_generator(config.networks), state.sampler, config.evaluation.batch_size, _SEED)
