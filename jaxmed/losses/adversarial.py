"""Losses and penalties of generative adversarial networks, one value per example.

Logits of a discriminator that judges many places of an image, (batch, *sites), are averaged over the places.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxmed.ops.example_keys import example_keys
from jaxmed.types import PyTree


def logistic_discriminator(
    real_logits: Float[Array, "batch *sites"],
    fake_logits: Float[Array, "batch *sites"],
    *,
    smoothing: float = 0.0,
) -> Float[Array, " batch"]:
    """Discriminator of the original and of the non-saturating game, both of which minimise it alike.

    -(1 - s) log sigma(D(x)) - s log(1 - sigma(D(x))) - log(1 - sigma(D(G(z)))) for the one-sided label
    smoothing s, computed from the logits in float32: finite, and with its gradient, at any finite logit.

    Args:
        real_logits: of real examples, (batch, *sites).
        fake_logits: of generated examples, the same shape.
        smoothing: how far below 1 the label of real examples lies, in [0, 1).

    Returns:
        (batch,), in nats, for the pairs of a real and a generated example in the same place.

    Reference: Goodfellow et al., Generative Adversarial Nets, equation 1; Salimans et al., Improved
    Techniques for Training GANs, section 3.4.
    """
    real, fake = real_logits.astype(jnp.float32), fake_logits.astype(jnp.float32)
    return _mean(jax.nn.softplus(-real) + smoothing * real + jax.nn.softplus(fake))


def non_saturating_generator(fake_logits: Float[Array, "batch *sites"]) -> Float[Array, " batch"]:
    """Generator that maximises log sigma(D(G(z))): -log sigma(D(G(z))), also called the logistic loss.

    Reference: Goodfellow et al., Generative Adversarial Nets, section 3.
    """
    return _mean(jax.nn.softplus(-fake_logits.astype(jnp.float32)))


def saturating_generator(fake_logits: Float[Array, "batch *sites"]) -> Float[Array, " batch"]:
    """Generator of the minimax game: log(1 - sigma(D(G(z)))), flat where the discriminator is sure.

    Reference: Goodfellow et al., Generative Adversarial Nets, equation 1.
    """
    return _mean(-jax.nn.softplus(fake_logits.astype(jnp.float32)))


def least_squares_discriminator(
    real_logits: Float[Array, "batch *sites"], fake_logits: Float[Array, "batch *sites"]
) -> Float[Array, " batch"]:
    """Least squares with the labels 1 and 0: ((D(x) - 1)^2 + D(G(z))^2) / 2.

    Reference: Mao et al., Least Squares Generative Adversarial Networks, equation 9.
    """
    real, fake = real_logits.astype(jnp.float32), fake_logits.astype(jnp.float32)
    return _mean(((real - 1) ** 2 + fake**2) / 2)


def least_squares_generator(fake_logits: Float[Array, "batch *sites"]) -> Float[Array, " batch"]:
    """Least squares towards the label 1: (D(G(z)) - 1)^2 / 2.

    Reference: Mao et al., Least Squares Generative Adversarial Networks, equation 9.
    """
    return _mean((fake_logits.astype(jnp.float32) - 1) ** 2 / 2)


def wasserstein_critic(
    real_scores: Float[Array, "batch *sites"], fake_scores: Float[Array, "batch *sites"]
) -> Float[Array, " batch"]:
    """Wasserstein critic: D(G(z)) - D(x); to be joined by a gradient penalty.

    Reference: Arjovsky et al., Wasserstein GAN, equation 2.
    """
    return _mean(fake_scores.astype(jnp.float32) - real_scores.astype(jnp.float32))


def wasserstein_generator(fake_scores: Float[Array, "batch *sites"]) -> Float[Array, " batch"]:
    """Generator against a Wasserstein critic: -D(G(z)).

    Reference: Arjovsky et al., Wasserstein GAN, equation 2.
    """
    return _mean(-fake_scores.astype(jnp.float32))


def draw_mixing(key: Key[Array, ""], batch_size: int) -> Float[Array, " batch"]:
    """Draws the factor between real and generated that `gradient_penalty` takes, uniform in [0, 1).

    One number per example: one per pixel would leave the line between the two.
    """
    return jax.vmap(jax.random.uniform)(example_keys(key, batch_size))


def gradient_penalty(
    critic: Callable[[Array], Array],
    real: Float[Array, "batch *shape"],
    fake: Float[Array, "batch *shape"],
    mixing: Float[Array, " batch"],
) -> Float[Array, " batch"]:
    """Penalty that keeps the critic's slope near 1 between real and generated: (|grad D(x')| - 1)^2.

    x' = m x + (1 - m) G(z) with one m per example; the norm is over all axes but the batch. Where the
    gradient vanishes the penalty is 1 and its derivative 0.

    Args:
        critic: from (batch, *shape) to (batch, *sites), example by example: batch normalisation and other
            statistics over the batch would leak gradients from one example to another.
        real: (batch, *shape).
        fake: generated, (batch, *shape).
        mixing: (batch,) factors in [0, 1], from `draw_mixing`.

    Returns:
        (batch,), not weighted.

    Reference: Gulrajani et al., Improved Training of Wasserstein GANs, equation 3.
    """
    mixing = mixing.reshape(-1, *(1,) * (real.ndim - 1))
    between = jax.lax.stop_gradient(jnp.broadcast_to(mixing, real.shape) * (real - fake) + fake)
    return (_norm(_squared_slope(critic, between)) - 1) ** 2


def r1_penalty(
    discriminator: Callable[[Array], Array], real: Float[Array, "batch *shape"]
) -> Float[Array, " batch"]:
    """Penalty on the slope at real examples: |grad D(x)|^2 / 2, to be weighted by gamma.

    Args:
        discriminator: from (batch, *shape) to (batch, *sites), see `gradient_penalty`.
        real: (batch, *shape).

    Returns:
        (batch,).

    Reference: Mescheder et al., Which Training Methods for GANs do actually Converge?, equation 9.
    """
    return _squared_slope(discriminator, real) / 2


def path_lengths(
    synthesise: Callable[[Array], Array],
    latents: Float[Array, "batch *layers width"],
    noise: Float[Array, "batch *spatial channels"],
) -> Float[Array, " batch"]:
    """How far the image moves when the latent moves: |J^T y| for the Jacobian J of `synthesise`.

    y is `noise` over the square root of the number of pixels. Where every layer has a latent of its own, the
    squares are averaged over the layers.

    Args:
        synthesise: from latents to images (batch, *spatial, channels), example by example.
        latents: (batch, width), or (batch, layers, width).
        noise: standard normal, of the images' shape.

    Returns:
        (batch,); `(lengths - mean)^2` is the penalty, the mean a moving one kept in the state.

    Reference: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, section 3.2.
    """
    num_pixels = noise[0, ..., 0].size
    _, pull_back = jax.vjp(synthesise, latents)
    (slope,) = pull_back(noise / jnp.sqrt(num_pixels).astype(noise.dtype))
    squares = jnp.square(slope.astype(jnp.float32)).sum(axis=-1)
    return _norm(_mean(squares))


def path_length_penalty(
    lengths: Float[Array, " batch"], mean_length: Float[Array, ""], *, decay: float = 0.99
) -> tuple[Float[Array, " batch"], Float[Array, ""]]:
    """Squared distance of path lengths from their moving mean, and that mean after this batch.

    Args:
        lengths: (batch,), from `path_lengths`.
        mean_length: the moving mean so far, 0 at the start.
        decay: what of it stays.

    Returns:
        (batch,) penalties against the new mean, and the new mean without gradient.

    Reference: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, equation 4, whose mean is
    a constant.
    """
    new_mean = jax.lax.stop_gradient(decay * mean_length + (1 - decay) * lengths.mean())
    return (lengths - jnp.broadcast_to(new_mean, lengths.shape)) ** 2, new_mean


def _squared_slope(critic: Callable[[Array], Array], x: Array) -> Float[Array, " batch"]:
    """Squared norm of every example's own gradient; outputs over many sites count with their mean."""
    slope: PyTree = jax.grad(lambda inputs: _mean(critic(inputs).astype(jnp.float32)).sum())(x)
    return jnp.square(slope.astype(jnp.float32)).reshape(len(x), -1).sum(axis=1)


def _norm(squares: Array) -> Array:
    """Square root whose derivative is 0, not infinite, at 0."""
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)


def _mean(values: Array) -> Float[Array, " batch"]:
    return values.mean(axis=tuple(range(1, values.ndim)))
