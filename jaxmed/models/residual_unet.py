"""The pre-activation residual U-Net whose up-sampled maps are added to the skips."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxmed.models import layers
from jaxmed.ops import interpolation, pooling


class ResidualUNet(nn.Module):
    """Residual U-Net with pre-activation blocks, additive skips and linear up-sampling.

    With `widths` w0, w1, ..., wn: a 3^d convolution to w0; at level i = 1 ... n-1 going down, residual
    blocks w(i-1) -> w(i-1) -> wi, whose output is the skip, and max-pooling by 2 that keeps the rest of odd
    sizes; at the bottom, blocks w(n-1) -> wn -> w(n-1); going up, linear interpolation to the size of the
    skip, the sum with it, and blocks wi -> w(i-1) -> w(i-1); then a block w0 -> w0, batch normalisation,
    ReLU and a 1^d convolution with a bias, the only bias of a convolution. Any spatial size works.
    The default widths with one input channel in two dimensions have 8,220,577 parameters.

    Kernels start uniform in +-1 / sqrt(fan_in), the default of PyTorch's convolutions
    (He uniform with slope sqrt 5); the bias starts at 0. Batch normalisation has epsilon 1e-5, running
    averages that keep 0.9 per step, and float32 statistics.

    Reference: Saparov et al., Zero-Shot Domain Adaptation in CT Segmentation by Filtered Back Projection
    Augmentation, section 3.2; the text says "a slightly modified 2D U-Net", the architecture is that of the
    released code. differs: running variances are not rescaled by n / (n - 1) as PyTorch does, and the last
    bias starts at 0 instead of uniform.

    Attributes:
        widths: channels of the levels and, last, of the bottom; two or more.
        out_channels: number of logits per element.
        initial_probability: what the untrained head predicts for an element without activations, in (0, 1):
            the last bias starts at its logit. A value near the share of the foreground spares the steps
            that would otherwise go into learning that share (Lin et al., Focal Loss, section 3.3).
        dtype: of convolutions and activations; parameters and statistics are float32, logits at least that.
        remat: recompute the activations within each level in the backward pass instead of storing them;
            for accelerators: XLA for CPU merges the second computation with the first.
    """

    widths: Sequence[int] = (8, 16, 32, 64, 128, 256, 512)
    out_channels: int = 1
    initial_probability: float = 0.5
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"], *, train: bool
    ) -> Float[Array, "batch *spatial out_channels"]:
        """Computes the logits.

        Args:
            x: (batch, height, width, channels) or (batch, depth, height, width, channels).
            train: normalise by the statistics of the batch and update the running ones (collection
                `batch_stats`), or by the running ones.

        Returns:
            Logits, (batch, *spatial, out_channels), float32.

        Raises:
            ValueError: fewer than two widths, or an initial probability outside (0, 1).
        """
        if len(self.widths) < 2:
            raise ValueError(f"widths: {tuple(self.widths)}; wanted two or more")
        if not 0 < self.initial_probability < 1:
            raise ValueError(f"initial_probability: {self.initial_probability}; wanted within (0, 1)")
        path = nn.remat(ResidualPath, static_argnums=(2,)) if self.remat else ResidualPath
        levels = list(zip(self.widths[:-2], self.widths[1:-1], strict=True))
        bottom = self.widths[-2]

        x = _conv(self.widths[0], 3, self.dtype, name="conv_in")(x)
        skips = []
        for level, (above, width) in enumerate(levels):
            x = path((above, width), self.dtype, name=f"down_{level}")(x, train)
            skips.append(x)
            x = pooling.max_pool(x, ceil_mode=True)
        x = path((self.widths[-1], bottom), self.dtype, name="bottom")(x, train)
        for level, (above, _) in reversed(list(enumerate(levels))):
            skip = skips[level]
            x = skip + interpolation.resize_linear(x, skip.shape[1:-1])
            x = path((above, above), self.dtype, name=f"up_{level}")(x, train)
        x = path((self.widths[0],), self.dtype, name="out")(x, train)
        x = nn.relu(layers.BatchNorm(dtype=self.dtype, name="norm_out")(x, train=train))
        # The head runs in float32 at least, so that logits are not rounded to the compute type.
        bias = math.log(self.initial_probability / (1 - self.initial_probability))
        return layers.Conv(
            self.out_channels,
            1,
            dtype=jnp.promote_types(x.dtype, jnp.float32),
            kernel_init=layers.UNIFORM_FAN_IN,
            bias_init=nn.initializers.constant(bias),
            name="head",
        )(x)


class ResidualPath(nn.Module):
    """Residual blocks in a row, the unit of rematerialisation.

    Attributes:
        widths: output channels of each block.
        dtype: of convolutions and activations.
    """

    widths: Sequence[int]
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"], train: bool
    ) -> Float[Array, "batch *spatial features"]:
        """Applies the blocks; `x` is (batch, *spatial, channels)."""
        for index, width in enumerate(self.widths):
            x = ResidualBlock(width, self.dtype, name=f"block_{index}")(x, train)
        return x


class ResidualBlock(nn.Module):
    """Pre-activation residual block: twice (batch norm, ReLU, 3^d convolution), plus the input.

    Where the number of channels changes, a 1^d convolution carries the input across.

    Reference: He et al., Identity Mappings in Deep Residual Networks, figure 4(e).

    Attributes:
        width: output channels.
        dtype: of convolutions and activations.
    """

    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"], train: bool
    ) -> Float[Array, "batch *spatial features"]:
        """Applies the block; `x` is (batch, *spatial, channels)."""
        shortcut = x
        if x.shape[-1] != self.width:
            shortcut = _conv(self.width, 1, self.dtype, name="shortcut")(x)
        for index in range(2):
            x = nn.relu(layers.BatchNorm(dtype=self.dtype, name=f"norm_{index}")(x, train=train))
            x = _conv(self.width, 3, self.dtype, name=f"conv_{index}")(x)
        return x + shortcut


def _conv(width: int, size: int, dtype: DTypeLike, *, name: str) -> layers.Conv:
    return layers.Conv(width, size, use_bias=False, dtype=dtype, kernel_init=layers.UNIFORM_FAN_IN, name=name)
