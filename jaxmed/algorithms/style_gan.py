"""What makes an adversarial game (`jaxmed.algorithms.gan`) that of StyleGAN2: inputs, losses, path lengths.

Generators are called as `jaxmed.models.style_gan.StyleGenerator` is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from jaxmed.algorithms.gan import Game, Regulariser
from jaxmed.losses import adversarial
from jaxmed.ops import collectives
from jaxmed.ops.example_keys import example_keys
from jaxmed.types import Batch, PyTree


class Settings(NamedTuple):
    """Attributes of the game.

    Attributes:
        mixing_probability: how often an example's layers from a random one on take another latent's style.
        path_weight: of the path-length penalty.
        regularise_every: steps between its updates; in each it weighs so many times more.
        path_batch_shrink: it is computed on so many times fewer examples.
    """

    mixing_probability: float = 0.9
    path_weight: float = 2.0
    regularise_every: int = 16
    path_batch_shrink: int = 2


class Inputs(NamedTuple):
    """What a generator makes a batch of images from.

    Attributes:
        latents: (batch, 2, width), standard normal; the second one takes over from layer `crossover` on.
        crossover: (batch,) int32, the number of layers where there is no mixing.
        noise: standard normal, (batch, *spatial, 1) for each convolution.
    """

    latents: Float[Array, "batch 2 width"]
    crossover: Int[Array, " batch"]
    noise: tuple[Array, ...]


def draw_inputs(generator: Any, key: Key[Array, ""], count: int, mixing_probability: float = 0.0) -> Inputs:
    """Draws latents, crossovers and noise for `count` images, each from its example's own key."""

    def draw(key):
        latent_key, mixing_key, layer_key, noise_key = jax.random.split(key, 4)
        layer = jax.random.randint(layer_key, (), 1, generator.num_styles)
        mixed = jax.random.uniform(mixing_key) < mixing_probability
        noise = tuple(
            jax.random.normal(jax.random.fold_in(noise_key, number), shape)
            for number, shape in enumerate(generator.noise_shapes)
        )
        latents = jax.random.normal(latent_key, (2, generator.latent_width))
        return Inputs(latents, jnp.where(mixed, layer, generator.num_styles), noise)

    return jax.vmap(draw)(example_keys(key, count))


def style_game(generator: Any, settings: Settings, real: Callable[[Batch], jax.Array]) -> Game:
    """The non-saturating logistic game with mixed styles and lazy path-length regularisation.

    Noise of the images' size is split over devices as the real images are, and what is generated follows it.

    Args:
        generator: the network.
        settings: see there.
        real: `(batch) -> (batch, *size, 1)`, real images, about in [-1, 1].

    Reference: Hong et al., 3D-StyleGAN, section 2; Karras et al., Analyzing and Improving the Image Quality
    of StyleGAN, section 3.2 and appendix B.
    """

    def draw(key, batch):
        images = real(batch)
        inputs = draw_inputs(generator, key, len(images), settings.mixing_probability)
        return inputs._replace(noise=split_noise(inputs.noise, images))

    def path_loss(params, batch_stats, mean_length, inputs, key):
        few = jax.tree.map(lambda array: array[:: settings.path_batch_shrink], inputs)
        direction = draw_direction(key, few.noise[-1])
        penalties, mean_length = path_penalty(generator, params, mean_length, Inputs(*few), direction)
        return settings.path_weight * settings.regularise_every * penalties, mean_length

    return Game(
        draw=draw,
        real=real,
        discriminator_loss=lambda of_real, of_fake, _: adversarial.logistic_discriminator(of_real, of_fake),
        generator_loss=lambda of_fake, _: adversarial.non_saturating_generator(of_fake),
        regulariser=Regulariser(path_loss, jnp.zeros(()), settings.regularise_every),
    )


def draw_direction(
    key: Key[Array, ""], noise: Float[Array, "batch *size 1"]
) -> Float[Array, "batch *size 1"]:
    """Draws standard normal directions in which images move, of the shape of `noise` and split like it."""
    keys = example_keys(key, len(noise))
    direction = jax.vmap(lambda own: jax.random.normal(own, noise.shape[1:]))(keys)
    return collectives.split_alike(direction, noise)


def path_penalty(
    generator: Any,
    params: PyTree,
    mean_length: Float[Array, ""],
    inputs: Inputs,
    direction: Float[Array, "batch *size 1"],
) -> tuple[Float[Array, " batch"], Float[Array, ""]]:
    """Squared distances of path lengths from their moving mean, and that mean after this batch.

    Args:
        generator: the network.
        params: its parameters.
        mean_length: the moving mean so far.
        inputs: of the images.
        direction: in which the images move, from `draw_direction`.

    Reference: Hong et al., 3D-StyleGAN, equation 1.
    """
    variables = {"params": params}
    styles = generator.apply(variables, inputs.latents, inputs.crossover, method="map")

    def synthesise(styles):
        return generator.apply(variables, styles, inputs.noise, method="synthesise")

    return adversarial.path_length_penalty(
        adversarial.path_lengths(synthesise, styles, direction), mean_length
    )


def split_noise(noise: tuple[Array, ...], images: Array) -> tuple[Array, ...]:
    """Lets the maps of the images' size lie on the devices as the images do."""
    return tuple(collectives.split_alike(one, images) if one.shape == images.shape else one for one in noise)


def lazy_adam(learning_rate: float, interval: int) -> optax.GradientTransformation:
    """Adam with betas 0 and 0.99 that also takes the updates of a penalty every `interval` steps.

    For the `interval + 1` updates in `interval` steps to move as far as `interval` would, c = interval /
    (interval + 1) scales the rate and is the power of the betas; 0 stands for no penalty, and c = 1.

    Reference: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, appendix B.
    """
    c = interval / (interval + 1) if interval else 1.0
    return optax.adam(c * learning_rate, b1=0.0, b2=0.99**c, eps=1e-8)
