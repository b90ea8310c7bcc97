"""The residual U-Net that MONAI calls `UNet`: strided and transposed convolutions, PReLU, instance norm."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxmed.models import layers


class MonaiUNet(nn.Module):
    """MONAI's `UNet` with its defaults, in two or three dimensions by the rank of the input.

    A level goes down by a residual unit with a stride, and up by a transposed convolution of the level's
    map beside what comes from below, and a residual unit of one convolution. Convolutions have windows of 3
    and a bias; each is followed by instance normalisation without learned scale and by a PReLU with one
    slope, but for the last one of the network. Sizes that the strides do not divide are rounded up going down
    and cut going up, where MONAI refuses them.

    Reference: Kerfoot et al., Left-Ventricle Quantification Using Residual U-Net; MONAI's documentation of
    `monai.networks.nets.UNet`.

    Attributes:
        widths: channels of the levels and, last, of the bottom; two or more.
        strides: of each level but the bottom.
        out_channels: number of logits per element.
        num_res_units: convolutions of a residual unit going down; 0 makes every unit one plain convolution.
        dtype: of convolutions and activations; parameters and statistics are float32.
        remat_levels: in how many levels, from the finest, the backward pass computes activations anew.
    """

    widths: Sequence[int] = (16, 32, 64, 128)
    strides: Sequence[int] = (2, 2, 2)
    out_channels: int = 1
    num_res_units: int = 2
    dtype: DTypeLike = jnp.float32
    remat_levels: int = 0

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"], *, train: bool = False
    ) -> Float[Array, "batch *spatial out_channels"]:
        """Computes the logits.

        Args:
            x: (batch, height, width, channels) or (batch, depth, height, width, channels).
            train: without effect: nothing in this network differs in training.

        Returns:
            Logits, (batch, *spatial, out_channels), float32 at least.

        Raises:
            ValueError: other than one stride for each level but the bottom.
        """
        if len(self.widths) < 2 or len(self.strides) != len(self.widths) - 1:
            raise ValueError(
                f"widths: {tuple(self.widths)} with strides {tuple(self.strides)}; wanted 2 or "
                "more widths and one stride for each but the last"
            )
        sizes, maps = [], []
        for level, (width, stride) in enumerate(zip(self.widths, (*self.strides, 1), strict=True)):
            sizes.append(x.shape[1:-1])
            unit = self._make(ResidualUnit, level, width, stride, self.num_res_units, name=f"down_{level}")
            x = unit(x)
            maps.append(x)
        x = maps.pop()
        for level in reversed(range(len(self.strides))):
            width = self.widths[level - 1] if level else self.out_channels
            up = self._make(
                UpLevel,
                level,
                width,
                self.strides[level],
                self.num_res_units > 0,
                level == 0,
                name=f"up_{level}",
            )
            x = up(jnp.concatenate([maps[level], x], axis=-1))
            x = x[tuple(slice(size) for size in (None, *sizes[level]))]
        return x.astype(jnp.promote_types(x.dtype, jnp.float32))

    def _make(self, kind: type, level: int, *fields, name: str) -> nn.Module:
        kind = nn.remat(kind) if level < self.remat_levels else kind
        return kind(*fields, dtype=self.dtype, name=name)


class ResidualUnit(nn.Module):
    """Convolutions, each with normalisation and PReLU, plus the input.

    Where stride or channels change, a convolution carries the input across: of the same window with a
    stride, of one element without. With `num_convs` 0 the unit is one convolution, nothing is added.

    Attributes:
        width: output channels.
        stride: of the first convolution.
        num_convs: number of convolutions.
        linear_end: whether the last convolution stands alone, without normalisation and PReLU.
        dtype: of convolutions and activations.
    """

    width: int
    stride: int
    num_convs: int
    linear_end: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"]
    ) -> Float[Array, "batch *out_spatial features"]:
        """Applies the unit; `x` is (batch, *spatial, channels)."""
        y = x
        for index in range(max(self.num_convs, 1)):
            stride = self.stride if index == 0 else 1
            y = _conv(self.width, 3, stride, self.dtype, name=f"conv_{index}")(y)
            if not (self.linear_end and index == max(self.num_convs, 1) - 1):
                y = _activate(y, self.dtype, name=f"activation_{index}")
        if self.num_convs == 0:
            return y
        if self.stride != 1 or x.shape[-1] != self.width:
            size = 3 if self.stride != 1 else 1
            x = _conv(self.width, size, self.stride, self.dtype, name="shortcut")(x)
        return x + y


class UpLevel(nn.Module):
    """A transposed convolution, and a residual unit of one convolution.

    Attributes:
        width: output channels.
        stride: factor by which the map grows.
        with_unit: whether the unit follows.
        linear_end: whether the level ends without normalisation and PReLU.
        dtype: of convolutions and activations.
    """

    width: int
    stride: int
    with_unit: bool
    linear_end: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"]
    ) -> Float[Array, "batch *upsampled features"]:
        """Applies the level; `x` is (batch, *spatial, channels)."""
        x = layers.ConvTranspose(
            self.width,
            3,
            self.stride,
            padding="TORCH",
            dtype=self.dtype,
            kernel_init=layers.UNIFORM_FAN_IN,
            name="upsample",
        )(x)
        if self.with_unit or not self.linear_end:
            x = _activate(x, self.dtype, name="activation")
        if self.with_unit:
            x = ResidualUnit(self.width, 1, 1, self.linear_end, self.dtype, name="unit")(x)
        return x


def _conv(width: int, size: int, stride: int, dtype: DTypeLike, *, name: str) -> layers.Conv:
    return layers.Conv(
        width,
        size,
        strides=stride,
        padding=size // 2,
        dtype=dtype,
        kernel_init=layers.UNIFORM_FAN_IN,
        name=name,
    )


def _activate(x: jax.Array, dtype: DTypeLike, *, name: str) -> jax.Array:
    x = layers.GroupNorm(affine=False, dtype=dtype)(x)
    return layers.PReLU(name=name)(x)
