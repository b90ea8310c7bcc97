"""Densely connected networks with bottlenecks for small images."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class DenseNet(nn.Module):
    """DenseNet-BC: three dense blocks, between them a compression and an average over 2 x 2.

    Growth 12, depth 100 and ten classes of colour images have 769,162 parameters.

    Reference: Huang et al., Densely Connected Convolutional Networks, section 3.

    Attributes:
        num_classes: how many logits.
        growth: channels that every layer adds.
        depth: 6 n + 4 for blocks of n layers, rounded down to that: layers of convolution or classification.
        reduction: what share of the channels a transition keeps.
    """

    num_classes: int
    growth: int = 12
    depth: int = 100
    reduction: float = 0.5

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch classes"]:
        """Computes the logits.

        Args:
            x: (batch, height, width, channels), at least four pixels a side.
            train: normalise by the batch and update the running statistics, or normalise by those.

        Raises:
            ValueError: for a depth that does not fit, or images too small for two transitions.
        """
        layers = (self.depth - 4) // 6
        if layers < 1:
            raise ValueError(f"depth: {self.depth}; wanted 10 or more")
        if min(x.shape[1:3]) < 4:
            raise ValueError(f"images of {x.shape[1:3]}; wanted 4 pixels a side or more")
        x = nn.Conv(2 * self.growth, (3, 3), use_bias=False, name="conv_in")(x)
        for block in range(3):
            for layer in range(layers):
                new = _BottleneckLayer(self.growth, name=f"block_{block}_layer_{layer}")(x, train)
                x = jnp.concatenate([x, new], axis=-1)
            if block < 2:
                x = nn.relu(_norm(train, name=f"transition_{block}_norm")(x))
                kept = int(x.shape[-1] * self.reduction)
                x = nn.Conv(kept, (1, 1), use_bias=False, name=f"transition_{block}_conv")(x)
                x = nn.avg_pool(x, (2, 2), (2, 2))
        x = nn.relu(_norm(train, name="norm_out")(x)).mean(axis=(1, 2))
        return nn.Dense(self.num_classes, name="head")(x)


class _BottleneckLayer(nn.Module):
    growth: int

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        x = nn.relu(_norm(train, name="norm_0")(x))
        x = nn.Conv(4 * self.growth, (1, 1), use_bias=False, name="conv_0")(x)
        x = nn.relu(_norm(train, name="norm_1")(x))
        return nn.Conv(self.growth, (3, 3), use_bias=False, name="conv_1")(x)


def _norm(train: bool, *, name: str) -> nn.BatchNorm:
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, name=name)
