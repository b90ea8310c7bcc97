"""The generative models: one for each class of each set, and the one with two latents of Fig. 1."""

import functools
from collections.abc import Mapping
from dataclasses import replace

import optax

from data_pipelines.labelled_images import ImageSet, LabelledImages
from experiments.rhvae.config import Config, generator_config
from jaxmed.algorithms.replicas import replicate
from jaxmed.algorithms.variational import Flow, variational
from jaxmed.models.vae import VAE, RiemannianVAE
from jaxmed.train import optimizers
from jaxmed.train.fit import Algorithm

_MAX_GRADIENT_NORM = 1e3
"""Far above what training shows; it bounds what a leapfrog that flies off can do."""

_PLANE_TEMPERATURE = 0.8
"""Of the authors' stored model with two latents."""


def make_model(config: Config) -> VAE | RiemannianVAE:
    """The network of a class: 640,804 parameters, or 976,859 with the metric, at the paper's sizes."""
    kind = VAE if config.method == "vae" else RiemannianVAE
    return kind((*config.image_shape, 1), config.generator.num_latents, config.generator.hidden)


def make_flow(config: Config) -> Flow | None:
    """The metric and the leapfrog of an RHVAE."""
    sizes = config.generator
    if config.method == "vae":
        return None
    return Flow(sizes.temperature, sizes.floor, sizes.num_leapfrog, sizes.leapfrog_step, sizes.beta_zero_sqrt)


@functools.lru_cache(maxsize=8)
def make_generators(config: Config, num_models: int) -> Algorithm:
    """All models side by side, each on its part of the batch."""
    optimizer = optimizers.clip(optax.adam(config.generator.learning_rate), _MAX_GRADIENT_NORM)
    one = variational(
        make_model(config), optimizer, flow=make_flow(config), patience=config.generator.patience
    )
    return replicate(one, num_models)


def plane_config(config: Config) -> Config:
    """The config of the model with two latents."""
    shared = generator_config(config)
    sizes = replace(shared.generator, num_latents=2, temperature=_PLANE_TEMPERATURE)
    return replace(shared, generator=sizes)


def plane_images(sets: Mapping[str, ImageSet]) -> LabelledImages:
    """What it is trained on: the raw images of the first two classes of the first set."""
    train = next(iter(sets.values())).train
    return train.take(train.labels < 2)
