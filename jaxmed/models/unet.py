"""U-Nets of plain convolutions, in two or three dimensions: the classic ones and nnU-Net's."""

from collections.abc import Callable, Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxmed.models import layers
from jaxmed.ops import interpolation, pooling

Activation = Callable[[jax.Array], jax.Array]
Upsampling = Literal["transposed", "nearest_conv", "nearest"]
Downsampling = Literal["max_pool", "strided_conv"]
Strides = Sequence[int | Sequence[int]]


class UNet(nn.Module):
    """U-Net: levels of convolutions, each followed by normalisation and activation; skips are concatenated.

    The rank of the input decides between images and volumes. Any spatial size works: sizes that the strides
    do not divide are rounded up going down, and what the way up has too much is cut off at the end.

    By its fields it is, among others:

    - Ronneberger et al., U-Net: the defaults, 31,030,593 parameters for one channel in and out;
    - Çiçek et al., 3D U-Net: `widths=(64, 128, 256, 512), halved_first=True, up_bias=False, norm="batch"`,
      19,069,955 parameters without those of the norm for three channels in and out;
    - the plain nnU-Net of Isensee et al.: `widths=(32, 64, 128, 256, 320, 320), norm="instance",
      downsampling="strided_conv", activation=nn.leaky_relu`, 31,194,050 parameters for a volume of one
      channel and two logits. differs: no deep supervision.

    Attributes:
        widths: channels of the levels, from the finest to the bottom; one or more.
        out_channels: number of logits per element.
        norm: "instance", "batch" or "none", after every convolution within a level.
        downsampling: max-pooling, or a stride of a level's first convolution, padded as in PyTorch.
        upsampling: "transposed": a transposed convolution whose window is its stride; "nearest_conv":
            repetition, then a convolution with such a window; "nearest": repetition alone.
        num_convs: convolutions per level going down, and going up.
        halved_first: the first convolution of a level going down has half of the level's width, and
            up-sampling keeps its number of channels instead of taking that of the skip.
        normalize_up: whether convolutions that up-sample are followed by normalisation and activation too.
        use_bias: whether convolutions within levels have a bias. Before a normalisation it is of no use, but
            some published networks count it.
        up_bias: whether convolutions that up-sample have one.
        strides: factor between one level and the next, for all axes or for each; 2 throughout if None.
        activation: of the convolutions.
        kernel_init: draws the kernels.
        dtype: of convolutions and activations; parameters and statistics are float32, logits at least that.
        remat_levels: in how many levels, from the finest, the backward pass computes activations anew
            instead of storing them; for accelerators: XLA for CPU merges both computations.
    """

    widths: Sequence[int] = (64, 128, 256, 512, 1024)
    out_channels: int = 1
    norm: layers.NormKind = "none"
    downsampling: Downsampling = "max_pool"
    upsampling: Upsampling = "transposed"
    num_convs: tuple[int, int] = (2, 2)
    halved_first: bool = False
    normalize_up: bool = False
    use_bias: bool = True
    up_bias: bool = True
    strides: Strides | None = None
    activation: Activation = nn.relu
    kernel_init: layers.Initializer = nn.initializers.he_normal()
    dtype: DTypeLike = jnp.float32
    remat_levels: int = 0

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"], *, train: bool
    ) -> Float[Array, "batch *spatial out_channels"]:
        """Computes the logits.

        Args:
            x: (batch, height, width, channels) or (batch, depth, height, width, channels).
            train: whether batch normalisation uses, and tracks, the statistics of the batch.

        Returns:
            Logits, (batch, *spatial, out_channels), float32.

        Raises:
            ValueError: no width, or another number of strides than there are steps between levels.
        """
        strides = self._all_strides(x.ndim - 2)
        skips = []
        for level, width in enumerate(self.widths):
            first = width // 2 if self.halved_first else width
            channels = (first, *[width] * (self.num_convs[0] - 1))
            by_pooling = self.downsampling == "max_pool"
            if level and by_pooling:
                x = pooling.max_pool(x, window=strides[level - 1], ceil_mode=True)
            stride = 1 if by_pooling or not level else strides[level - 1]
            block = self._make(Encoder, level, channels=channels, stride=stride, name=f"down_{level}")
            x = block(x, train)
            skips.append(x)
        for level in reversed(range(len(self.widths) - 1)):
            width = self.widths[level]
            block = self._make(
                Decoder,
                level,
                channels=(width,) * self.num_convs[1],
                stride=strides[level],
                upsampling=self.upsampling,
                up_channels=x.shape[-1] if self.halved_first else width,
                up_bias=self.up_bias,
                normalize_up=self.normalize_up,
                name=f"up_{level}",
            )
            x = block(x, skips[level], train)
        # The head runs in float32 at least, so that logits are not rounded to the compute type.
        dtype = jnp.promote_types(x.dtype, jnp.float32)
        return layers.Conv(self.out_channels, 1, dtype=dtype, kernel_init=self.kernel_init, name="head")(x)

    def _all_strides(self, num_axes: int) -> list[tuple[int, ...]]:
        wanted = len(self.widths) - 1
        strides = (2,) * wanted if self.strides is None else tuple(self.strides)
        if wanted < 0 or len(strides) != wanted:
            raise ValueError(
                f"widths: {tuple(self.widths)} with strides {strides}; wanted one stride between two levels"
            )
        return [(step,) * num_axes if isinstance(step, int) else tuple(step) for step in strides]

    def _make(self, kind: type, level: int, **options) -> nn.Module:
        """Makes one side of a level, rematerialised if it is among the finest `remat_levels`."""
        if level < self.remat_levels:
            kind = nn.remat(kind, static_argnums=(2,) if kind is Encoder else (3,))
        return kind(
            norm=self.norm,
            use_bias=self.use_bias,
            activation=self.activation,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            **options,
        )


class ConvLevel(nn.Module):
    """What both sides of a level share: convolutions, each followed by normalisation and activation.

    Attributes:
        channels: of each convolution.
        stride: down to this level, or up to it, for each axis or for all.
        norm: see `UNet`.
        use_bias: see `UNet`.
        activation: see `UNet`.
        kernel_init: see `UNet`.
        dtype: see `UNet`.
    """

    channels: Sequence[int]
    stride: int | Sequence[int]
    norm: layers.NormKind
    use_bias: bool
    activation: Activation
    kernel_init: layers.Initializer
    dtype: DTypeLike

    def convolve(self, x: jax.Array, train: bool, *, stride: int | Sequence[int] = 1) -> jax.Array:
        """Applies the convolutions, the first one with a stride."""
        for index, width in enumerate(self.channels):
            x = layers.Conv(
                width,
                strides=stride if index == 0 else 1,
                padding=1,
                use_bias=self.use_bias,
                dtype=self.dtype,
                kernel_init=self.kernel_init,
                name=f"conv_{index}",
            )(x)
            x = self.activate(x, train, name=f"norm_{index}")
        return x

    def activate(self, x: jax.Array, train: bool, *, name: str) -> jax.Array:
        """Normalises and applies the activation."""
        return self.activation(layers.normalize(x, self.norm, train=train, name=name, dtype=self.dtype))


class Encoder(ConvLevel):
    """One level on the way down."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"], train: bool
    ) -> Float[Array, "batch *out_spatial features"]:
        """Applies the level; `x` is (batch, *spatial, channels)."""
        return self.convolve(x, train, stride=self.stride)


class Decoder(ConvLevel):
    """One level on the way up.

    Attributes:
        upsampling: see `UNet`.
        up_channels: of the convolution that up-samples.
        up_bias: see `UNet`.
        normalize_up: see `UNet`.
    """

    upsampling: Upsampling
    up_channels: int
    up_bias: bool
    normalize_up: bool

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch *coarse coarse_channels"],
        skip: Float[Array, "batch *spatial channels"],
        train: bool,
    ) -> Float[Array, "batch *spatial features"]:
        """Brings `x` to the size of `skip`, appends it and applies the level."""
        x = self._upsample(x, train)
        x = x[tuple(slice(size) for size in (None, *skip.shape[1:-1]))]
        return self.convolve(jnp.concatenate([skip, x], axis=-1), train)

    def _upsample(self, x: jax.Array, train: bool) -> jax.Array:
        if self.upsampling == "nearest":
            return interpolation.upsample_nearest(x, self.stride)
        options = {
            "use_bias": self.up_bias,
            "dtype": self.dtype,
            "kernel_init": self.kernel_init,
            "name": "upsample",
        }
        if self.upsampling == "nearest_conv":
            x = layers.UpsampleConv(self.up_channels, self.stride, self.stride, **options)(x)
        elif self.upsampling == "transposed":
            x = layers.ConvTranspose(self.up_channels, self.stride, self.stride, **options)(x)
        else:
            raise ValueError(f"upsampling: '{self.upsampling}'; known: transposed, nearest_conv, nearest")
        return self.activate(x, train, name="upsample_norm") if self.normalize_up else x
