"""A classifier: a network that gives features, and linear layers on them."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmed.ops.example_keys import example_keys


class Classifier(nn.Module):
    """Logits from the features of a backbone, and the embedding that the last layer gets.

    Attributes:
        backbone: called as `backbone(images, train=...)`, gives (batch, features).
        num_classes: number of logits.
        hidden: widths of linear layers before the last one, without activations between them.
        dropout: probability that a feature of the backbone is left out in training; needs the random key
            "dropout". Each example has draws of its own, by its place in the global batch.
    """

    backbone: nn.Module
    num_classes: int
    hidden: Sequence[int] = ()
    dropout: float = 0.0

    def setup(self) -> None:
        """Makes the linear layers."""
        self.linear = [nn.Dense(width, name=f"linear_{index}") for index, width in enumerate(self.hidden)]
        self.head = nn.Dense(self.num_classes)

    def embed(
        self, images: Float[Array, "batch height width channels"], *, train: bool = False
    ) -> Float[Array, "batch features"]:
        """Computes what the last layer gets, in float32.

        Args:
            images: (batch, height, width, channels).
            train: normalise by the batch's statistics, and drop features.
        """
        features = jnp.asarray(self.backbone(images, train=train), jnp.float32)
        if train and self.dropout:
            features = self._drop(features)
        for layer in self.linear:
            features = layer(features)
        return features

    def _drop(self, features: jax.Array) -> jax.Array:
        def draw(key: jax.Array) -> jax.Array:
            return jax.random.bernoulli(key, 1 - self.dropout, features.shape[1:])

        kept = jax.vmap(draw)(example_keys(self.make_rng("dropout"), len(features)))
        return jnp.where(kept, features / (1 - self.dropout), 0)

    def logits(self, embedding: Float[Array, "batch features"]) -> Float[Array, "batch classes"]:
        """Applies the last layer."""
        return self.head(embedding)

    def __call__(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch classes"]:
        """Computes the logits; arguments as in `embed`."""
        return self.logits(self.embed(images, train=train))
