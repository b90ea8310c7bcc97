"""The games of well-known adversarial networks on images, for `algorithms.gan`.

All take `real`, which gives the discriminator's images of a batch, and the number of latents. The reference
of each is that of its losses in `losses.adversarial`.
"""

from collections.abc import Callable
from typing import Any

import jax
import optax

from jaxmed.algorithms.gan import Game, Move, draw_latents
from jaxmed.losses import adversarial
from jaxmed.types import Batch

Real = Callable[[Batch], jax.Array]

_cross_entropy = optax.softmax_cross_entropy_with_integer_labels


def non_saturating(real: Real, num_latents: int, *, smoothing: float = 0.0) -> Game:
    """Logistic discriminator, with one-sided smoothing of its labels, and non-saturating generator."""

    def discriminator_loss(of_real: jax.Array, of_fake: jax.Array, move: Move) -> jax.Array:
        return adversarial.logistic_discriminator(of_real, of_fake, smoothing=smoothing)

    def generator_loss(of_fake: jax.Array, move: Move) -> jax.Array:
        return adversarial.non_saturating_generator(of_fake)

    return Game(_draw(real, num_latents), real, discriminator_loss, generator_loss)


def least_squares(real: Real, num_latents: int) -> Game:
    """Least squares with the labels 1 and 0."""

    def discriminator_loss(of_real: jax.Array, of_fake: jax.Array, move: Move) -> jax.Array:
        return adversarial.least_squares_discriminator(of_real, of_fake)

    def generator_loss(of_fake: jax.Array, move: Move) -> jax.Array:
        return adversarial.least_squares_generator(of_fake)

    return Game(_draw(real, num_latents), real, discriminator_loss, generator_loss)


def wasserstein(real: Real, num_latents: int, *, penalty_weight: float = 10.0) -> Game:
    """Wasserstein critic with gradient penalty."""

    def critic_loss(of_real: jax.Array, of_fake: jax.Array, move: Move) -> jax.Array:
        return adversarial.wasserstein_critic(of_real, of_fake)

    def generator_loss(of_fake: jax.Array, move: Move) -> jax.Array:
        return adversarial.wasserstein_generator(of_fake)

    def penalty(critic: Any, of_real: jax.Array, of_fake: jax.Array, key: jax.Array) -> jax.Array:
        mixing = adversarial.draw_mixing(key, len(of_real))
        return penalty_weight * adversarial.gradient_penalty(critic, of_real, of_fake, mixing)

    return Game(_draw(real, num_latents), real, critic_loss, generator_loss, penalty)


def auxiliary_classifier(real: Real, num_latents: int) -> Game:
    """A generator that is told the class, `label` of the batch, and a discriminator that also classifies.

    The discriminator returns a logit of being real and logits of the classes. With the log-likelihoods
    L_S of the source and L_C of the class, both of real and of generated images, the discriminator minimises
    -(L_S + L_C) and the generator -(L_C - L_S), L_S in its non-saturating form.

    Reference: Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs, equations 2 and 3.
    """

    def discriminator_loss(of_real: Any, of_fake: Any, move: Move) -> jax.Array:
        (source_real, class_real), (source_fake, class_fake) = of_real, of_fake
        classes = _cross_entropy(class_real, move.batch["label"]) + _cross_entropy(class_fake, move.inputs[1])
        return adversarial.logistic_discriminator(source_real, source_fake) + classes

    def generator_loss(of_fake: Any, move: Move) -> jax.Array:
        source, classes = of_fake
        return adversarial.non_saturating_generator(source) + _cross_entropy(classes, move.inputs[1])

    def draw(key: jax.Array, batch: Batch) -> tuple[jax.Array, ...]:
        return draw_latents(key, len(real(batch)), num_latents), batch["label"]

    return Game(draw, real, discriminator_loss, generator_loss)


def _draw(real: Real, num_latents: int) -> Callable[[jax.Array, Batch], tuple[jax.Array]]:
    return lambda key, batch: (draw_latents(key, len(real(batch)), num_latents),)
