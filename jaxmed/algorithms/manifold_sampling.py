"""New images from stacks of trained autoencoders with a learned metric."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.algorithms.variational import Flow, batch_metric
from jaxmed.ops import riemannian_sampling
from jaxmed.types import Leaf

_DECODE_AT_ONCE = 500


def draw_latents(
    model: nn.Module,
    params: Any,
    images: np.ndarray,
    weight: np.ndarray,
    key: jax.Array,
    *,
    flow: Flow,
    num_samples: int,
    num_moves: int,
    num_leapfrog: int,
    step_size: float,
) -> riemannian_sampling.Chains:
    """Draws latents of every model from its inverse volume element, by chains that start at random centroids.

    Args:
        model: with a metric.
        params: of all models, stacked.
        images: (models, images, *shape), whose latent means are the centroids.
        weight: (models, images), 0 for padding.
        key: of the draws.
        flow: the metric's settings.
        num_samples: chains per model.
        num_moves: see `riemannian_sampling.sample_inverse_volume`.
        num_leapfrog: see there.
        step_size: see there.

    Returns:
        `z` (models, samples, latents) and `acceptance` (models, samples).
    """

    def draw(inputs):
        params, images, weight, key = inputs
        key_start, key_chain = jax.random.split(key)
        metric = batch_metric(model, params, images, weight, flow)
        start = jax.random.categorical(key_start, jnp.log(weight), shape=(num_samples,))
        return riemannian_sampling.sample_inverse_volume(
            key_chain,
            metric,
            metric.centroids[start],
            num_moves=num_moves,
            num_leapfrog=num_leapfrog,
            step_size=step_size,
        )

    inputs = (params, jnp.asarray(images), jnp.asarray(weight), jax.random.split(key, len(images)))
    return jax.jit(lambda inputs: jax.lax.map(draw, inputs))(inputs)


def pixel_means(model: nn.Module, params: Any, z: jax.Array) -> jax.Array:
    """Means of the pixels in [0, 1], as in `decode`; jittable."""
    each = jax.vmap(lambda p, z: jnp.asarray(model.apply({"params": p}, z, method="decode")))
    return jax.nn.sigmoid(each(params, z))


def decode(model: nn.Module, params: Any, z: Leaf) -> np.ndarray:
    """Means of the pixels, (models, samples, *shape), for latents (models, samples, latents)."""
    means = jax.jit(functools.partial(pixel_means, model))
    parts = [z[:, start : start + _DECODE_AT_ONCE] for start in range(0, z.shape[1], _DECODE_AT_ONCE)]
    return np.concatenate([np.asarray(means(params, part)) for part in parts], axis=1)
