"""Generative models, and what they and classical augmentation make of the raw images."""

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from data_pipelines.image_stack import pad
from data_pipelines.image_study import ImageStudy
from data_pipelines.labelled_images import LabelledImages, label_by_set
from experiments.rhvae.config import Config, generator_config
from experiments.rhvae.data import num_classes, set_names
from jaxmed.algorithms import manifold_sampling
from jaxmed.algorithms.replicas import replicate
from jaxmed.algorithms.variational import Flow, variational
from jaxmed.augment.copies import augment_copies
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
    return kind((*config.shape, 1), config.generator.num_latents, config.generator.hidden)


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


def plane_images(study: ImageStudy) -> LabelledImages:
    """What it is trained on: the raw images of the first two classes of the first set."""
    return label_by_set(*study.class_images[:2])


def draw_latents(config: Config, params: Any, study: ImageStudy, key: Any) -> dict[str, np.ndarray]:
    """Draws `max_samples` latents from the prior or the manifold of every model.

    Gives `z` (models, samples, latents) and `acceptance`, the share of proposals taken, 1 for the prior.
    """
    images, weight = pad(study.class_images)
    sampler, flow = config.sampler, make_flow(config)
    if config.method != "manifold" or flow is None:
        shape = (len(images), sampler.max_samples, config.generator.num_latents)
        return {"z": np.asarray(jax.random.normal(key, shape)), "acceptance": np.ones(1)}
    options: dict[str, Any] = {"num_moves": sampler.num_moves, "num_leapfrog": sampler.num_leapfrog}
    options |= {"num_samples": sampler.max_samples, "step_size": sampler.leapfrog_step}
    model = make_model(config)
    chains = manifold_sampling.draw_latents(model, params, images, weight, key, flow=flow, **options)
    return {"z": np.asarray(chains.z), "acceptance": np.asarray(chains.acceptance.mean(axis=1))}


def synthetic_parts(config: Config, params: Any, z: np.ndarray) -> dict[str, LabelledImages]:
    """Images of latents (models, samples, latents), by set."""
    images, each = manifold_sampling.decode(make_model(config), params, z), num_classes(config)
    sets = enumerate(set_names(config))
    return {name: label_by_set(*images[each * k : each * (k + 1)]) for k, name in sets}


def augmented_parts(config: Config, study: ImageStudy, key: Any) -> dict[str, LabelledImages]:
    """Copies of every raw image, factor - 1: by classical means (the paper gives no strengths)."""
    parts, copies = {}, config.factor - 1
    for number, (name, one) in enumerate(study.sets.items()):
        own = jax.random.fold_in(key, number)
        images = augment_copies(own, jnp.asarray(one.train.images), copies)
        parts[name] = LabelledImages(np.asarray(images), np.tile(one.train.labels, copies))
    return parts
