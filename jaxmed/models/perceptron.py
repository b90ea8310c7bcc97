"""Multilayer perceptrons."""

from collections.abc import Sequence

import flax.linen as nn
from jaxtyping import Array, Float


class Perceptron(nn.Module):
    """Fully connected layers with ReLU on flattened inputs.

    Attributes:
        num_classes: how many logits.
        widths: of the hidden layers.
    """

    num_classes: int
    widths: Sequence[int] = (400, 100)

    @nn.compact
    def __call__(self, x: Float[Array, "batch *shape"], *, train: bool) -> Float[Array, "batch classes"]:
        """Computes the logits."""
        x = x.reshape(len(x), -1)
        for width in self.widths:
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(self.num_classes)(x)
