"""MobileNetV2: inverted residual blocks with depthwise convolutions."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxmed.models import layers

_HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")

BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, number of blocks, and stride of the first of them (table 2 of the paper)."""


class MobileNetV2(nn.Module):
    """MobileNetV2 without its last layer: features.

    A 3 x 3 convolution of stride 2, the inverted residual blocks, a 1 x 1 convolution, and the mean over the
    image; batch normalisation and ReLU6 after every convolution but the last one of each block. With the
    defaults, three channels in and a linear layer to 1000 classes it has 3,504,872 parameters.

    Reference: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, table 2.

    Attributes:
        blocks: expansion, channels, number and first stride of each group of blocks.
        stem: channels of the first convolution.
        features: channels of the last convolution.
        dtype: of convolutions and activations; parameters and statistics are float32.
    """

    blocks: Sequence[tuple[int, int, int, int]] = BLOCKS
    stem: int = 32
    features: int = 1280
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch features"]:
        """Computes the features.

        Args:
            x: (batch, height, width, channels).
            train: normalise by the batch's statistics and update the running ones, or by the running ones.

        Returns:
            (batch, features), float32.
        """
        x = _ConvNorm(self.stem, 3, stride=2, dtype=self.dtype, name="stem_layer")(x, train=train)
        number = 0
        for expansion, width, count, first_stride in self.blocks:
            for stride in (first_stride, *[1] * (count - 1)):
                block = InvertedResidual(width, expansion, stride, self.dtype, name=f"block_{number}")
                x = block(x, train=train)
                number += 1
        x = _ConvNorm(self.features, 1, dtype=self.dtype, name="last_layer")(x, train=train)
        return jnp.mean(x, axis=(1, 2), dtype=jnp.float32)


class InvertedResidual(nn.Module):
    """Expansion by a 1 x 1 convolution, depthwise 3 x 3 convolution, and a linear 1 x 1 convolution.

    The input is added where size and width stay; without expansion the first convolution is left out.

    Attributes:
        width: output channels.
        expansion: of the channels in between.
        stride: of the depthwise convolution.
        dtype: of convolutions and activations.
    """

    width: int
    expansion: int
    stride: int = 1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch out_height out_width features"]:
        """Applies the block."""
        hidden = self.expansion * x.shape[-1]
        y = x
        if self.expansion > 1:
            y = _ConvNorm(hidden, 1, dtype=self.dtype, name="expand")(y, train=train)
        y = _ConvNorm(hidden, 3, stride=self.stride, groups=hidden, dtype=self.dtype, name="depthwise")(
            y, train=train
        )
        y = _ConvNorm(self.width, 1, linear=True, dtype=self.dtype, name="project")(y, train=train)
        return x + y if y.shape == x.shape else y


class _ConvNorm(nn.Module):
    width: int
    size: int
    stride: int = 1
    groups: int = 1
    linear: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch out_height out_width features"]:
        x = layers.Conv(
            self.width,
            self.size,
            self.stride,
            # As many zeros on both sides, as in PyTorch.
            padding=self.size // 2,
            feature_group_count=self.groups,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=_HE,
            name="conv",
        )(x)
        x = layers.BatchNorm(dtype=self.dtype, name="norm")(x, train=train)
        return x if self.linear else nn.relu6(x)
