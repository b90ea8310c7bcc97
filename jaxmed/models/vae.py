"""Variational autoencoders with one hidden layer, and the network that learns a metric of their latents.

Images have values in [0, 1]; the decoder gives the logits of their Bernoulli likelihood. Parameters have
JAX's default precision: with JAX_ENABLE_X64 all is computed in float64, images of float32 too.
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmed.ops import riemannian


def _dense(features: int) -> nn.Dense:
    return nn.Dense(features, param_dtype=jnp.result_type(float))


class VAE(nn.Module):
    """Variational autoencoder of flattened images (631,188 parameters for 28 x 28 and two latents).

    Attributes:
        image_shape: (height, width), or any other shape of an example.
        num_latents: dimension of the latent space.
        hidden: width of the hidden layer of encoder and decoder.
    """

    image_shape: Sequence[int]
    num_latents: int = 10
    hidden: int = 400

    def setup(self):  # noqa: D102
        self.encoder_hidden = _dense(self.hidden)
        self.encoder_mean = _dense(self.num_latents)
        self.encoder_log_variance = _dense(self.num_latents)
        self.decoder_hidden = _dense(self.hidden)
        self.decoder_logits = _dense(math.prod(self.image_shape))

    def encode(
        self, images: Float[Array, "batch *shape"]
    ) -> tuple[Float[Array, "batch latents"], Float[Array, "batch latents"]]:
        """Mean and log variance of the latents of `images`."""
        x = nn.relu(self.encoder_hidden(images.reshape(len(images), -1)))
        return self.encoder_mean(x), self.encoder_log_variance(x)

    def decode(self, latents: Float[Array, "batch latents"]) -> Float[Array, "batch *shape"]:
        """Logits of the pixels."""
        logits = self.decoder_logits(nn.relu(self.decoder_hidden(latents)))
        return logits.reshape(latents.shape[0], *self.image_shape)

    def __call__(self, images: Float[Array, "batch *shape"], *, train: bool) -> Float[Array, "batch *shape"]:
        """Reconstructs images from the means of their latents: logits; touches every parameter."""
        mean, _ = self.encode(images)
        return self.decode(mean)


class RiemannianVAE(nn.Module):
    """A VAE beside a network that gives the metric's factors (976,859 parameters for 28 x 28, ten latents).

    Reference: Chadebec et al., Geometry-Aware Hamiltonian Variational Auto-Encoder, section 3.

    Attributes:
        image_shape: see `VAE`.
        num_latents: see `VAE`.
        hidden: see `VAE`; also of the metric's own hidden layer.
    """

    image_shape: Sequence[int]
    num_latents: int = 10
    hidden: int = 400

    def setup(self):  # noqa: D102
        self.vae = VAE(self.image_shape, self.num_latents, self.hidden)
        self.metric_hidden = _dense(self.hidden)
        self.metric_log_diagonal = _dense(self.num_latents)
        self.metric_off_diagonal = _dense(self.num_latents * (self.num_latents - 1) // 2)

    def encode(
        self, images: Float[Array, "batch *shape"]
    ) -> tuple[Float[Array, "batch latents"], Float[Array, "batch latents"]]:
        """See `VAE.encode`."""
        return self.vae.encode(images)

    def decode(self, latents: Float[Array, "batch latents"]) -> Float[Array, "batch *shape"]:
        """See `VAE.decode`."""
        return self.vae.decode(latents)

    def squared_factors(self, images: Float[Array, "batch *shape"]) -> Float[Array, "batch latents latents"]:
        """L L^T of every image, its contribution to the inverse metric around its latent mean."""
        x = nn.relu(self.metric_hidden(images.reshape(len(images), -1)))
        return riemannian.squared_factors(self.metric_log_diagonal(x), self.metric_off_diagonal(x))

    def __call__(
        self, images: Float[Array, "batch *shape"], *, train: bool
    ) -> tuple[Float[Array, "batch *shape"], jax.Array]:
        """The VAE's logits and the squared factors; touches every parameter."""
        return self.vae(images, train=train), self.squared_factors(images)
