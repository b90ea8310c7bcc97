"""VGG networks with batch normalisation, split into features and a last layer."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxmed.ops import interpolation, pooling
from jaxmed.ops.adaptive_pooling import adaptive_average_pool
from jaxmed.ops.example_keys import example_keys

_KERNEL = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class VGG(nn.Module):
    """VGG-16 with batch normalisation, adaptive average pooling and two hidden layers, by default.

    Each stage is 3x3 convolutions with batch normalisation and ReLU, then max-pooling by 2. Sides of less
    than 2 to the number of stages (32 for VGG-16) would vanish in the pools: such images are enlarged to it,
    by linear interpolation. What is left is averaged to `pooled_size` a side and goes through the hidden
    layers, with ReLU between them and dropout after the first, to the features: those are the last hidden
    layer's outputs before its ReLU, or the pooled maps where there is no hidden layer. The last layer follows
    the ReLU.

    With one input channel the stages of VGG-16 have 14,721,984 parameters with the original's biases, and
    14,717,760 without; the whole network with 104 outputs has 134,693,928 with them. Convolution kernels
    start normal with variance 2 / fan-out, those of dense layers normal with standard deviation 0.01,
    biases at 0.

    Reference: Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition,
        2015, configuration D; features and initialisation as Caron et al., Deep clustering for unsupervised
        learning of visual features, 2018.

    Attributes:
        num_outputs: of the last layer.
        stages: channels of the convolutions of each stage.
        hidden: widths of the hidden layers; none leaves the pooled maps as features.
        pooled_size: side of the averaged maps.
        dropout: probability with which an output of the first hidden layer is dropped in training.
        conv_bias: whether convolutions have a bias, as the original's; batch normalisation cancels it.
        batch_norm: without, the network is the original one of 2015; it then wants the biases.
        dense_std: standard deviation of the initial kernels of the hidden and last layers; narrower ones need
            more to keep the signal: sqrt(2 / inputs) does.
        dtype: of convolutions and activations; parameters, statistics, features and outputs are float32.
    """

    num_outputs: int
    stages: Sequence[Sequence[int]] = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
    hidden: Sequence[int] = (4096, 4096)
    pooled_size: int = 7
    dropout: float = 0.5
    conv_bias: bool = False
    batch_norm: bool = True
    dense_std: float = 0.01
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        """Makes the two parts, whose parameters are called `trunk` and `head`."""
        self.trunk = Trunk(
            self.stages,
            self.hidden,
            self.pooled_size,
            self.dropout,
            self.conv_bias,
            self.batch_norm,
            self.dense_std,
            self.dtype,
        )
        self.head = nn.Dense(self.num_outputs, kernel_init=nn.initializers.normal(self.dense_std))

    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch outputs"]:
        """Computes the outputs of the last layer.

        Args:
            x: (batch, height, width, channels).
            train: use and update statistics of the batch (collection `batch_stats`), and drop (random stream
                `dropout`).

        Returns:
            (batch, num_outputs), float32.
        """
        return self.head(nn.relu(self.features(x, train=train)))

    def features(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch features"]:
        """Computes the features, (batch, hidden[-1]) or (batch, pooled_size^2 channels), float32."""
        return self.trunk(x, train).astype(jnp.float32)


class Trunk(nn.Module):
    """Everything before the last ReLU; attributes as in `VGG`."""

    stages: Sequence[Sequence[int]]
    hidden: Sequence[int]
    pooled_size: int
    dropout: float
    conv_bias: bool
    batch_norm: bool
    dense_std: float
    dtype: DTypeLike

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], train: bool
    ) -> Float[Array, "batch features"]:
        """Applies the stages, the pooling and the hidden layers."""
        least = 2 ** len(self.stages)
        x = interpolation.resize_linear(x, [max(size, least) for size in x.shape[1:-1]])
        for number, widths in enumerate(self.stages):
            for index, width in enumerate(widths):
                name = f"{number}_{index}"
                x = nn.Conv(
                    width,
                    (3, 3),
                    use_bias=self.conv_bias,
                    kernel_init=_KERNEL,
                    dtype=self.dtype,
                    name=f"conv_{name}",
                )(x)
                if self.batch_norm:
                    x = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype, name=f"norm_{name}")(x)
                x = nn.relu(x)
            x = pooling.max_pool(x)
        x = adaptive_average_pool(x, (self.pooled_size,) * 2)
        x = x.reshape(x.shape[0], math.prod(x.shape[1:]))  # the batch may have an open size
        for index, width in enumerate(self.hidden):
            if index:
                x = nn.relu(x)
            if index == 1 and train and self.dropout:
                x = _drop(x, self.make_rng("dropout"), self.dropout)
            kernel = nn.initializers.normal(self.dense_std)
            x = nn.Dense(width, kernel_init=kernel, dtype=self.dtype, name=f"hidden_{index}")(x)
        return x


def _drop(x: jax.Array, key: jax.Array, probability: float) -> jax.Array:
    """Dropout whose draws depend on an example's place in the global batch, on any number of devices."""
    keep = jax.vmap(lambda k: jax.random.bernoulli(k, 1 - probability, x.shape[1:]))(
        example_keys(key, len(x))
    )
    return jnp.where(keep, x / (1 - probability), 0)
