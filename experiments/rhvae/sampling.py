"""Training sets: what the generative models and classical augmentation make of the raw data."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines.image_stack import pad
from data_pipelines.image_study import ImageStudy
from data_pipelines.labelled_images import LabelledImages, label_by_set
from experiments.rhvae.config import Config
from experiments.rhvae.generative import make_flow, make_model
from jaxmed.algorithms import manifold_sampling
from jaxmed.augment.copies import augment_copies


def draw_latents(config: Config, params: Any, study: ImageStudy, key: Any) -> dict[str, np.ndarray]:
    """Draws `max_samples` latents from the prior or the manifold of every model.

    Gives `z` (models, samples, latents) and `acceptance`, the share of proposals taken, 1 for the prior.
    """
    images, weight = pad(study.class_images)
    sampler, flow = config.sampler, make_flow(config)
    if config.method != "manifold" or flow is None:
        shape = (len(images), sampler.max_samples, config.generator.num_latents)
        return {"z": np.asarray(jax.random.normal(key, shape)), "acceptance": np.ones(1)}
    chains = manifold_sampling.draw_latents(
        make_model(config),
        params,
        images,
        weight,
        key,
        flow=flow,
        num_samples=sampler.max_samples,
        num_moves=sampler.num_moves,
        num_leapfrog=sampler.num_leapfrog,
        step_size=sampler.leapfrog_step,
    )
    return {"z": np.asarray(chains.z), "acceptance": np.asarray(chains.acceptance.mean(axis=1))}


def synthetic_parts(
    config: Config, params: Any, z: np.ndarray, study: ImageStudy
) -> dict[str, LabelledImages]:
    """The first `num_samples` images of every class, by set."""
    images = manifold_sampling.decode(make_model(config), params, z[:, : config.num_samples])
    parts, first = {}, 0
    for name, one in study.sets.items():
        parts[name] = label_by_set(*images[first : first + one.num_classes])
        first += one.num_classes
    return parts


def augmented_parts(config: Config, study: ImageStudy, key: Any) -> dict[str, LabelledImages]:
    """Copies of every raw image, factor - 1: by classical means (the paper gives no strengths)."""
    parts, copies = {}, config.factor - 1
    for number, (name, one) in enumerate(study.sets.items()):
        own = jax.random.fold_in(key, number)
        images = augment_copies(own, jnp.asarray(one.train.images), copies)
        parts[name] = LabelledImages(np.asarray(images), np.tile(one.train.labels, copies))
    return parts
