"""The four GANs of Tables 2 and 3, and the CNNs that judge them."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.contract import Data
from experiments.ganeval.config import Config, Judge, Method, gan_config
from jaxmed.algorithms import gan_games
from jaxmed.algorithms.gan import Game, Player, gan
from jaxmed.algorithms.two_sample import two_sample_test
from jaxmed.models import gan_plans
from jaxmed.models.plain_vgg import PlainVGG
from jaxmed.train.fit import Algorithm
from jaxmed.types import Batch

_IMAGES_AT_ONCE = 128

_SMOOTHED = functools.partial(gan_games.non_saturating, smoothing=0.1)
"""Real labels of 0.9 for DCGAN; the paper does not say how much."""


class Recipe(NamedTuple):
    """A row of Table 3: layers, kernels, latents and slopes; losses; Adam's rates (G, D) and betas."""

    plan: gan_plans.Plan
    game: Callable[[gan_games.Real, int], Game]
    rates: tuple[float, float]
    betas: tuple[float, float]


RECIPES: dict[Method, Recipe] = {
    "dcgan": Recipe(gan_plans.DCGAN, _SMOOTHED, (1e-4, 1e-4), (0.5, 0.99)),
    "lsgan": Recipe(gan_plans.LSGAN, gan_games.least_squares, (1e-4, 1e-4), (0.5, 0.99)),
    "wgan_gp": Recipe(gan_plans.WGAN_GP, gan_games.wasserstein, (2e-4, 1e-4), (0.0, 0.9)),
    "ac_gan": Recipe(gan_plans.AC_GAN, gan_games.auxiliary_classifier, (2e-4, 2e-4), (0.5, 0.99)),
}


def make_plan(config: Config) -> gan_plans.Plan:
    """The layers of the method's GAN at the preset's size."""
    return RECIPES[config.method].plan.reduce(config.image_size, config.gan.width_divisor)


def make_algorithm(config: Config, data: Data | None) -> Algorithm:
    """The training of one GAN; the data do not matter."""
    return _make_algorithm(gan_config(config))


@functools.lru_cache(maxsize=8)
def _make_algorithm(config: Config) -> Algorithm:
    plan, recipe = make_plan(config), RECIPES[config.method]
    generator, discriminator = (
        Player(make(len(config.classes)), optax.adam(config.gan.rate_scale * rate, *recipe.betas))
        for make, rate in zip((plan.make_generator, plan.make_discriminator), recipe.rates, strict=True)
    )
    game, steps = recipe.game(_real, plan.num_latents), config.gan.num_discriminator_steps
    return gan(generator, discriminator, game, num_discriminator_steps=steps)


def _real(batch: Batch) -> jax.Array:
    return jnp.asarray(batch["image"]).astype(jnp.float32) / 127.5 - 1


def decode(config: Config, variables: Any, z: jax.Array, labels: jax.Array) -> jax.Array:
    """Images in [0, 1], (batch, size, size, 1), of latents; only AC-GAN's generator looks at the classes."""
    plan: Any = make_plan(config)
    inputs = (z, labels) if plan.is_told else (z,)
    model: Any = plan.make_generator(len(config.classes))
    return (model.apply(variables, *inputs, train=False) + 1) / 2


def generate(config: Config, variables: Any, label: int, count: int, key: jax.Array) -> np.ndarray:
    """Images of a class, (count, size, size, 1) uint8, from the variables of its generator."""
    keys = [jax.random.fold_in(key, start) for start in range(0, count, _IMAGES_AT_ONCE)]
    parts = [np.asarray(_generate(gan_config(config), variables, own, label)) for own in keys]
    return np.concatenate(parts)[:count]


@functools.partial(jax.jit, static_argnums=0)
def _generate(config: Config, variables: Any, key: jax.Array, label: jax.Array) -> jax.Array:
    z = jax.random.normal(key, (_IMAGES_AT_ONCE, make_plan(config).num_latents))
    images = decode(config, variables, z, jnp.full(len(z), label, jnp.int32))
    return jnp.rint(255 * images).astype(jnp.uint8)


def make_judge(sizes: Judge) -> PlainVGG:
    """A CNN: 1,991,137 parameters at the paper preset's sizes."""
    return PlainVGG(sizes.num_channels, sizes.num_blocks, sizes.num_features)


@functools.lru_cache(maxsize=2)
def make_judges(sizes: Judge, count: int) -> Algorithm:
    """The training of several CNNs in one program."""
    return two_sample_test(make_judge(sizes), optax.adam(sizes.learning_rate), count)
