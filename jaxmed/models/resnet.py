"""Residual networks for small images."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxmed.models import layers

_HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class ResNet(nn.Module):
    """Residual network of basic blocks with the stem for small images: features, without a last layer.

    A 3 x 3 convolution, batch normalisation and ReLU keep the size; then come stages of blocks, the first
    block of every stage but the first with stride 2; then the mean over the image. With the default widths
    it is ResNet-18: with three channels in and a linear layer to 10 classes, 11,173,962 parameters.

    Reference: He et al., Deep Residual Learning for Image Recognition, table 1, with the stem of their
    section 4.2 (CIFAR-10) and projection shortcuts (option B).

    Attributes:
        widths: channels of each stage.
        blocks: number of blocks of each stage.
        stride: of the first convolution; 1 keeps the size.
        dtype: of convolutions and activations; parameters and statistics are float32.
    """

    widths: Sequence[int] = (64, 128, 256, 512)
    blocks: Sequence[int] = (2, 2, 2, 2)
    stride: int = 1
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
            (batch, last width), float32.

        Raises:
            ValueError: widths and blocks differ in number.
        """
        if len(self.widths) != len(self.blocks):
            raise ValueError(f"widths: {tuple(self.widths)}, blocks: {tuple(self.blocks)}; wanted as many")
        x = _conv(self.widths[0], 3, self.stride, self.dtype, name="conv_in")(x)
        x = nn.relu(_norm(self.dtype, name="norm_in")(x, train=train))
        for stage, (width, count) in enumerate(zip(self.widths, self.blocks, strict=True)):
            for block in range(count):
                stride = 2 if stage and not block else 1
                name = f"stage_{stage}_block_{block}"
                x = BasicBlock(width, stride, self.dtype, name=name)(x, train=train)
        return jnp.mean(x, axis=(1, 2), dtype=jnp.float32)


class BasicBlock(nn.Module):
    """Twice (3 x 3 convolution, batch norm), plus the input, with ReLU; post-activation.

    Where width or size change, a strided 1 x 1 convolution and batch norm carry the input across.

    Attributes:
        width: channels.
        stride: of the first convolution.
        dtype: of convolutions and activations.
    """

    width: int
    stride: int = 1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch out_height out_width features"]:
        """Applies the block."""
        shortcut = x
        if x.shape[-1] != self.width or self.stride > 1:
            shortcut = _conv(self.width, 1, self.stride, self.dtype, name="shortcut")(x)
            shortcut = _norm(self.dtype, name="norm_shortcut")(shortcut, train=train)
        x = _conv(self.width, 3, self.stride, self.dtype, name="conv_0")(x)
        x = nn.relu(_norm(self.dtype, name="norm_0")(x, train=train))
        x = _conv(self.width, 3, 1, self.dtype, name="conv_1")(x)
        x = _norm(self.dtype, name="norm_1")(x, train=train)
        return nn.relu(x + shortcut)


def _conv(width: int, size: int, stride: int, dtype: DTypeLike, *, name: str) -> layers.Conv:
    # As many zeros on both sides, as in PyTorch: "SAME" puts fewer in front where the stride is 2.
    return layers.Conv(
        width,
        size,
        stride,
        padding=size // 2,
        use_bias=False,
        dtype=dtype,
        kernel_init=_HE,
        name=name,
    )


def _norm(dtype: DTypeLike, *, name: str) -> layers.BatchNorm:
    return layers.BatchNorm(dtype=dtype, name=name)
