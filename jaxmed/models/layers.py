"""Layers of networks on the library's operators, with the parameters of their flax.linen namesakes.

Names, shapes and initial values of parameters are those of `nn.Conv`, `nn.ConvTranspose`, `nn.BatchNorm` and
`nn.GroupNorm`, so that checkpoints do not tell them apart. A window or stride that is one number holds for
every spatial axis, so that one definition of a network serves images and volumes.

All layers take `dtype`, the type of computation; parameters are float32. Statistics are computed in float32.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxmed.ops import convolution, normalization

UNIFORM_FAN_IN = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Uniform in +-1 / sqrt(fan_in), PyTorch's default for kernels of convolutions."""

Initializer = Callable[..., Any]
NormKind = Literal["instance", "batch", "none"]


class Convolution(nn.Module, kw_only=True):
    """What all convolutions share.

    Attributes:
        use_bias: whether a bias is added.
        dtype: of the computation.
        kernel_init: draws the kernel (*window, in, out), `in` that of one group.
        bias_init: draws the bias.
    """

    use_bias: bool = True
    dtype: DTypeLike = jnp.float32
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros

    def draw_kernel(self, size: int | Sequence[int], num_axes: int, inside: int, outside: int) -> jax.Array:
        """The parameter `kernel` in the type of the computation."""
        window = (size,) * num_axes if isinstance(size, int) else tuple(size)
        kernel = self.param("kernel", self.kernel_init, (*window, inside, outside), jnp.float32)
        return jnp.asarray(kernel, self.dtype)

    def add_bias(self, y: jax.Array) -> jax.Array:
        """Adds the parameter `bias`, if there is one."""
        if not self.use_bias:
            return y
        bias = self.param("bias", self.bias_init, y.shape[-1:], jnp.float32)
        return y + jnp.broadcast_to(jnp.asarray(bias, y.dtype), y.shape)


class Conv(Convolution):
    """Convolution; see `ops.convolution.conv`.

    Attributes:
        features: number of output channels.
        kernel_size: of the window, along all spatial axes or along each.
        strides: likewise.
        padding: "SAME", "VALID", a number of zeros on each side (as PyTorch), or (before, behind) per axis.
        kernel_dilation: distance of the window's taps, likewise.
        feature_group_count: groups of channels that do not mix.
    """

    features: int
    kernel_size: int | Sequence[int] = 3
    strides: int | Sequence[int] = 1
    padding: Literal["SAME", "VALID"] | int | Sequence[tuple[int, int]] = "SAME"
    kernel_dilation: int | Sequence[int] = 1
    feature_group_count: int = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"]
    ) -> Float[Array, "batch *out_spatial features"]:
        """Convolves `x`, (batch, *spatial, channels)."""
        inside = x.shape[-1] // self.feature_group_count
        y = convolution.conv(
            x.astype(self.dtype),
            self.draw_kernel(self.kernel_size, x.ndim - 2, inside, self.features),
            stride=self.strides,
            padding=self.padding,
            dilation=self.kernel_dilation,
            num_groups=self.feature_group_count,
        )
        return self.add_bias(y)


class ConvTranspose(Convolution):
    """Transposed convolution to `strides` times the size; see `ops.convolution.conv_transpose`.

    Attributes:
        features: number of output channels.
        kernel_size: of the window, along all spatial axes or along each, not below the strides.
        strides: likewise.
        padding: "SAME" as flax, or "TORCH".
    """

    features: int
    kernel_size: int | Sequence[int] = 2
    strides: int | Sequence[int] = 2
    padding: Literal["SAME", "TORCH"] = "SAME"

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"]
    ) -> Float[Array, "batch *upsampled features"]:
        """Up-samples `x`, (batch, *spatial, channels)."""
        kernel = self.draw_kernel(self.kernel_size, x.ndim - 2, x.shape[-1], self.features)
        x = x.astype(self.dtype)
        return self.add_bias(convolution.conv_transpose(x, kernel, stride=self.strides, padding=self.padding))


class UpsampleConv(Convolution):
    """Nearest-neighbour up-sampling, then a convolution, in one; see `ops.convolution.upsample_conv`.

    Attributes:
        features: number of output channels.
        kernel_size: of the window, along all spatial axes or along each.
        factor: of the up-sampling, likewise.
    """

    features: int
    kernel_size: int | Sequence[int] = 3
    factor: int | Sequence[int] = 2

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"]
    ) -> Float[Array, "batch *upsampled features"]:
        """Up-samples `x`, (batch, *spatial, channels)."""
        kernel = self.draw_kernel(self.kernel_size, x.ndim - 2, x.shape[-1], self.features)
        return self.add_bias(convolution.upsample_conv(x.astype(self.dtype), kernel, factor=self.factor))


class BatchNorm(nn.Module):
    """Batch normalisation with running statistics (collection `batch_stats`: mean and biased variance).

    Reference: Ioffe and Szegedy, Batch Normalization, algorithm 1.

    Attributes:
        momentum: share of the running statistics that a step keeps.
        epsilon: added to the variance.
        dtype: of the result.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch *spatial channels"], *, train: bool) -> Float[Array, "..."]:
        """Normalises `x`, (batch, *spatial, channels), by its own statistics or by the running ones."""
        width = x.shape[-1]
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, width, jnp.float32)
        running_variance = self.variable("batch_stats", "var", jnp.ones, width, jnp.float32)
        if train:
            about = normalization.moments(x, range(x.ndim - 1))
            if not self.is_initializing():
                for running, new in ((running_mean, about.mean), (running_variance, about.variance)):
                    running.value = self.momentum * running.value + (1 - self.momentum) * new.reshape(width)
        else:
            shape = (1,) * (x.ndim - 1) + (width,)
            mean, variance = (
                jnp.asarray(running.value).reshape(shape) for running in (running_mean, running_variance)
            )
            about = normalization.Moments(mean, jnp.zeros_like(mean), variance)
        return _standardize(self, x, about)


class GroupNorm(nn.Module):
    """Group normalisation; see `ops.normalization.group_moments`.

    Attributes:
        num_groups: of adjacent channels; None makes each channel its own: instance normalisation.
        epsilon: added to the variance.
        affine: whether channels are scaled and shifted by learned numbers.
        dtype: of the result.
    """

    num_groups: int | None = None
    epsilon: float = 1e-5
    affine: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch *spatial channels"]:
        """Normalises `x`, (batch, *spatial, channels)."""
        if self.num_groups is None:
            about = normalization.instance_moments(x)
        else:
            about = normalization.group_moments(x, self.num_groups)
        if not self.affine:
            return normalization.standardize(x, about, epsilon=self.epsilon).astype(self.dtype)
        return _standardize(self, x, about)


class PReLU(nn.Module):
    """Leaky ReLU with one learned slope for all channels, 1/4 at first, as PyTorch's.

    Reference: He et al., Delving Deep into Rectifiers, equation 1 (the channel-shared variant).
    """

    @nn.compact
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Applies it to each element."""
        slope = self.param("negative_slope", nn.initializers.constant(0.25), (), jnp.float32)
        return jnp.where(x >= 0, x, jnp.asarray(slope, x.dtype) * x)


def normalize(
    x: Float[Array, "batch *spatial channels"],
    kind: NormKind,
    *,
    train: bool,
    name: str,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "batch *spatial channels"]:
    """Normalises inside a compact module, in the way that a field of the network names.

    Args:
        x: (batch, *spatial, channels).
        kind: "instance", "batch", or "none", which returns `x`.
        train: whether batch normalisation uses and tracks the statistics of the batch.
        name: of the layer.
        dtype: of the result.

    Returns:
        As `x`.

    Raises:
        ValueError: for another kind.
    """
    if kind == "batch":
        return BatchNorm(dtype=dtype, name=name)(x, train=train)
    if kind == "instance":
        return GroupNorm(dtype=dtype, name=name)(x)
    if kind == "none":
        return x
    raise ValueError(f"norm: '{kind}'; known: instance, batch, none")


def _standardize(layer: Any, x: jax.Array, about: normalization.Moments) -> jax.Array:
    """Normalises `x`, then scales and shifts its channels by the layer's parameters."""
    scale, bias = (
        jnp.asarray(layer.param(name, start, x.shape[-1:], jnp.float32))
        for name, start in (("scale", nn.initializers.ones), ("bias", nn.initializers.zeros))
    )
    y = normalization.standardize(x, about, scale=scale, bias=bias, epsilon=layer.epsilon)
    return y.astype(layer.dtype)
