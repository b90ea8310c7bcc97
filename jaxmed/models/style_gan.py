"""Style-based generator and residual discriminator of images and volumes (StyleGAN2, 3D-StyleGAN).

Learning rates are equalised: weights start standard normal and are scaled by 1 / sqrt(fan-in) when used.
Leaky ReLUs have a slope of 0.2 and a gain of sqrt(2). Parameters are float32.
"""

import functools
import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from jaxmed.ops import convolution, filtered_resampling
from jaxmed.ops.modulation import modulated_conv
from jaxmed.ops.styles import mix_styles, repeat_styles

FILTER = (1.0, 3.0, 3.0, 1.0)
"""Low-pass filter of StyleGAN2's up- and down-sampling."""

_EPSILON = 1e-8


class StyleGenerator(nn.Module):
    """Mapping network from latents to styles, and synthesis network from styles and noise to an image.

    The mapping network is `num_mapping` dense layers of the latent's width after the latent is divided by its
    root mean square, with a hundredth of the learning rate. Synthesis starts from a learned constant of size
    `base`: a styled convolution, then for each doubling an up-sampling one and another one, all of `width`
    channels, and last a modulated 1^d convolution to one channel, whose output is not bounded. Every one
    has a style; all but the last have a map of noise.

    With a base of 5 x 6 x 7, four doublings, and width = latent_width = 96: 2,428,234 parameters.

    Reference: Hong et al., 3D-StyleGAN, section 2.1 and figure 1 (configuration `Gorig` of their code);
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN, figure 2d.

    Attributes:
        base: size of the constant, along every spatial axis.
        num_doublings: how often it is doubled.
        width: channels of all convolutions.
        latent_width: of latents and of styles.
        num_mapping: layers of the mapping network.
        taps: of the low-pass filter after up-sampling, see `filtered_resampling.upsample_conv`.
        dtype: of convolutions and activations in the synthesis; the image is float32.
        remat: recompute the activations within each styled convolution in the backward pass; for
            accelerators: XLA for CPU merges the second computation with the first.
    """

    base: tuple[int, ...] = (5, 6, 7)
    num_doublings: int = 4
    width: int = 96
    latent_width: int = 96
    num_mapping: int = 8
    taps: tuple[float, ...] = FILTER
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def setup(self):  # noqa: D102
        self.mapping = [Dense(self.latent_width, 0.01) for _ in range(self.num_mapping)]
        self.constant = self.param("constant", nn.initializers.normal(1.0), (*self.base, self.width))
        kind = nn.remat(StyledConv) if self.remat else StyledConv
        self.convs = [
            kind(self.width, self.taps if number % 2 else (), self.dtype)
            for number in range(2 * self.num_doublings + 1)
        ]
        self.image = ToImage(self.dtype)

    @property
    def num_styles(self) -> int:
        """Layers that take a style: the convolutions and the image's."""
        return 2 * self.num_doublings + 2

    @property
    def noise_shapes(self) -> list[tuple[int, ...]]:
        """Of every convolution's map of noise, (*spatial, 1)."""
        return [
            (*(size << (number + 1) // 2 for size in self.base), 1)
            for number in range(2 * self.num_doublings + 1)
        ]

    def map(
        self, latents: Float[Array, "batch two width"], crossover: Int[Array, " batch"]
    ) -> Float[Array, "batch styles width"]:
        """Styles of all layers, mixed.

        Args:
            latents: (batch, 2, latent_width), standard normal.
            crossover: (batch,), the layer from which on the style is the second latent's; `num_styles` for
                none.

        Returns:
            (batch, num_styles, latent_width).
        """
        both = self.map_one(latents.reshape(-1, latents.shape[-1]))
        first, second = (repeat_styles(styles, self.num_styles) for styles in (both[::2], both[1::2]))
        return mix_styles(first, second, crossover)

    def map_one(self, latents: Float[Array, "batch width"]) -> Float[Array, "batch width"]:
        """From latents (batch, latent_width), standard normal, to styles of the same shape."""
        scale = jax.lax.rsqrt(jnp.square(latents).mean(axis=-1, keepdims=True) + _EPSILON)
        x = latents * jnp.broadcast_to(scale, latents.shape)
        for layer in self.mapping:
            x = leaky(layer(x))
        return x

    def synthesise(
        self,
        styles: Float[Array, "batch styles width"],
        noise: Sequence[Float[Array, "..."]],
    ) -> Float[Array, "batch *size 1"]:
        """Images from a style for each layer and standard normal noise of `noise_shapes`.

        Args:
            styles: (batch, num_styles, latent_width).
            noise: a map (batch, *spatial, 1) for each convolution.

        Returns:
            (batch, *(base * 2^num_doublings), 1), float32; data lie in [-1, 1].
        """
        x = jnp.asarray(self.constant, self.dtype)
        x = jnp.broadcast_to(x, (styles.shape[0], *x.shape))
        for number, conv in enumerate(self.convs):
            x = conv(x, styles[:, number], noise[number])
        return self.image(x, styles[:, -1])

    def __call__(
        self,
        latents: Float[Array, "batch two width"],
        crossover: Int[Array, " batch"],
        noise: Sequence[Float[Array, "..."]],
        *,
        train: bool = False,
    ) -> Float[Array, "batch *size 1"]:
        """Images from latents, as `map` and `synthesise` take them; there is no difference in training."""
        return self.synthesise(self.map(latents, crossover), noise)


class StyleDiscriminator(nn.Module):
    """Residual network that judges whether images are real.

    A 1^d convolution to `width` channels; for each halving a convolution, a down-sampling one, and beside
    them a filtered 1^d one, their sum divided by sqrt(2); the standard deviation over groups of examples as
    one more channel; a convolution, a dense layer over all places, and another to the logit. Windows are 3^d.

    With a base of 5 x 6 x 7, four halvings and a width of 96: 4,215,553 parameters.

    Reference: as of `StyleGenerator`; its figure 7c.

    Attributes:
        num_doublings: halvings, as the generator doubles.
        width: channels throughout.
        taps: of the low-pass filter before down-sampling.
        group_size: examples that share a standard deviation, neighbours in the batch; the largest divisor of
            the batch that is not larger is taken.
        dtype: of convolutions and activations; the logit is float32.
        remat: see `StyleGenerator`; of each residual block.
    """

    num_doublings: int = 4
    width: int = 96
    taps: tuple[float, ...] = FILTER
    group_size: int = 4
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"], *, train: bool = False
    ) -> Float[Array, " batch"]:
        """Logits (batch,) of images (batch, *spatial, channels); there is no difference in training."""
        kind = nn.remat(DiscriminatorBlock) if self.remat else DiscriminatorBlock
        x = leaky(Conv(self.width, 1, dtype=self.dtype, name="image")(x.astype(self.dtype)))
        for level in range(self.num_doublings):
            x = kind(self.width, self.taps, self.dtype, name=f"block_{level}")(x)
        x = append_deviation(x, self.group_size)
        x = leaky(Conv(self.width, 3, dtype=self.dtype, name="last")(x))
        return Dense(1, name="logit")(leaky(DenseOverAll(self.width, name="hidden")(x)))[:, 0]


class StyledConv(nn.Module):
    """Modulated convolution of 3^d, perhaps up-sampling, with noise, bias and leaky ReLU.

    Attributes:
        features: output channels.
        taps: of the filter that follows up-sampling by 2; none for no up-sampling.
        dtype: of the computation.
    """

    features: int
    taps: tuple[float, ...] = ()
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch *spatial channels"],
        style: Float[Array, "batch width"],
        noise: Float[Array, "batch *size 1"],
    ) -> Float[Array, "batch *size features"]:
        """Takes (batch, *spatial, channels), styles (batch, width), noise of the output's size."""
        scales = Dense(x.shape[-1], name="style")(style) + 1
        kernel = scaled_kernel(self, ((3,) * (x.ndim - 2)), x.shape[-1], self.features).astype(self.dtype)
        convolve = convolution.conv
        if self.taps:
            convolve = functools.partial(filtered_resampling.upsample_conv, taps=self.taps)
        y = modulated_conv(x, kernel, scales, convolve=convolve)
        strength = jnp.asarray(self.param("noise_strength", nn.initializers.zeros, ()), self.dtype)
        y = y + jnp.broadcast_to(strength * noise.astype(self.dtype), y.shape)
        return leaky(_add_bias(self, y))


class ToImage(nn.Module):
    """Modulated 1^d convolution to one channel, not demodulated, with a bias.

    Attributes:
        dtype: of the computation; the image is float32.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"], style: Float[Array, "batch width"]
    ) -> Float[Array, "batch *spatial 1"]:
        """Takes (batch, *spatial, channels) and styles (batch, width)."""
        scales = Dense(x.shape[-1], name="style")(style) + 1
        kernel = scaled_kernel(self, (1,) * (x.ndim - 2), x.shape[-1], 1)
        y = modulated_conv(x, kernel.astype(self.dtype), scales, demodulate=False)
        return _add_bias(self, y.astype(jnp.promote_types(y.dtype, jnp.float32)))


class DiscriminatorBlock(nn.Module):
    """Two convolutions of which the second halves the size, beside a filtered 1^d one.

    Attributes:
        width: channels.
        taps: of the low-pass filter.
        dtype: of the computation.
    """

    width: int
    taps: tuple[float, ...]
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch *halved width"]:
        """Takes (batch, *spatial, channels) with even sizes."""
        y = leaky(Conv(self.width, 3, dtype=self.dtype, name="conv")(x))
        kernel = scaled_kernel(self, (3,) * (x.ndim - 2), self.width, self.width).astype(self.dtype)
        y = leaky(_add_bias(self, filtered_resampling.conv_downsample(y, kernel, self.taps)))
        skip = filtered_resampling.downsample(x, self.taps)
        skip = Conv(self.width, 1, use_bias=False, dtype=self.dtype, name="skip")(skip)
        return (y + skip) * jnp.asarray(math.sqrt(0.5), y.dtype)


class Conv(nn.Module):
    """Convolution with an equalised learning rate.

    Attributes:
        features: output channels.
        size: of the window, along every axis.
        use_bias: whether a bias is added, 0 at first.
        dtype: of the computation.
    """

    features: int
    size: int
    use_bias: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "..."]:
        """Takes (batch, *spatial, channels)."""
        kernel = scaled_kernel(self, (self.size,) * (x.ndim - 2), x.shape[-1], self.features)
        y = convolution.conv(x, kernel.astype(self.dtype))
        return _add_bias(self, y) if self.use_bias else y


class Dense(nn.Module):
    """Dense layer with an equalised learning rate, in float32.

    Attributes:
        features: outputs.
        rate: factor of the learning rate: what is drawn is larger and what is used smaller by it.
    """

    features: int
    rate: float = 1.0

    @nn.compact
    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch features"]:
        """Takes (batch, inputs)."""
        return _add_bias(self, x @ scaled_kernel(self, (), x.shape[-1], self.features, self.rate), self.rate)


class DenseOverAll(nn.Module):
    """Dense layer over all places and channels, in float32; a split axis is summed over, not collected.

    Attributes:
        features: outputs.
    """

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch features"]:
        """Takes (batch, *spatial, channels)."""
        kernel = scaled_kernel(self, x.shape[1:-1], x.shape[-1], self.features)
        inner = tuple(range(x.ndim - 1))
        axes = tuple(axis + 1 for axis in inner), inner
        y = jnp.tensordot(x.astype(kernel.dtype), kernel, axes=axes)
        return _add_bias(self, y)


def leaky(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Leaky ReLU with slope 0.2, times sqrt(2), which keeps the variance of normal inputs near 1."""
    return nn.leaky_relu(x, 0.2) * jnp.asarray(math.sqrt(2), x.dtype)


def append_deviation(
    x: Float[Array, "batch *spatial channels"], group_size: int
) -> Float[Array, "batch *spatial more"]:
    """Appends the mean over places and channels of the standard deviation over a group of examples.

    Groups are neighbours in the batch, so that a batch split over devices need not be mixed.

    Args:
        x: (batch, *spatial, channels).
        group_size: see `StyleDiscriminator`.

    Returns:
        (batch, *spatial, channels + 1).

    Reference: Karras et al., Progressive Growing of GANs, section 3; groups as in StyleGAN2's code.
    """
    size = max(number for number in range(1, group_size + 1) if len(x) % number == 0)
    grouped = x.astype(jnp.float32).reshape(-1, size, *x.shape[1:])
    deviation = jnp.sqrt(grouped.var(axis=1) + _EPSILON)
    means = deviation.mean(axis=tuple(range(1, deviation.ndim))).astype(x.dtype)
    means = jnp.broadcast_to(means[:, None], (len(means), size)).reshape(-1, *(1,) * (x.ndim - 1))
    return jnp.concatenate([x, jnp.broadcast_to(means, (*x.shape[:-1], 1))], axis=-1)


def scaled_kernel(
    layer: nn.Module, window: tuple[int, ...], inside: int, outside: int, rate: float = 1.0
) -> jax.Array:
    """The parameter `kernel` (*window, inside, outside) of a layer, scaled by rate / sqrt(fan-in)."""
    start = nn.initializers.normal(1 / rate)
    kernel = jnp.asarray(layer.param("kernel", start, (*window, inside, outside), jnp.float32))
    return kernel * (rate / math.sqrt(math.prod(window) * inside))


def _add_bias(layer: nn.Module, y: jax.Array, rate: float = 1.0) -> jax.Array:
    bias = jnp.asarray(layer.param("bias", nn.initializers.zeros, y.shape[-1:], jnp.float32))
    return y + jnp.broadcast_to((rate * bias).astype(y.dtype), y.shape)
