"""FusionNet: a deep residual U-Net whose up-sampled maps are averaged with the skips."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxmed.models import layers
from jaxmed.ops import pooling

_KERNEL = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class FusionNet(nn.Module):
    """Encoder and decoder of residual units; skips are averages.

    With `widths` w0, ..., wn: going down, a unit of wi at level i and max-pooling by 2; at the bottom a unit
    of wn; going up, a transposed convolution with a window of 3 and a stride of 2 to wi, batch normalisation
    and ReLU, the mean with the skip, and a unit of wi; last a convolution. Windows are 3^d throughout. Units
    going down have leaky ReLU (slope 0.2), those going up ReLU. Sizes that 2 does not divide are rounded up
    going down, and what the way up has too much is cut off at the end.

    With the biases that the published code has before its batch normalisations, the default widths with three
    channels in and two out have 19,645,826 parameters; without, 19,637,986. Convolution kernels start normal
    with variance 2 / fan-out, the one bias at 0.

    Reference: Quan et al., FusionNet: A deep fully residual convolutional neural network for image
    segmentation in connectomics, 2016; widths, slopes and averages as the `ResidualUNet` of the code of
    Kervadec et al., Bounding boxes for weakly supervised segmentation, MIDL 2020.

    Attributes:
        widths: channels of the levels and, last, of the bottom; one or more.
        out_channels: number of logits per element.
        use_bias: whether convolutions before a batch normalisation have a bias, as published; it has
            no effect.
        initial_probability: what the untrained head gives the last of two outputs, in (0, 1): its bias starts
            at the log-odds, the others at 0 (why: see `residual_unet.ResidualUNet`).
        dtype: of convolutions and activations; parameters and statistics are float32, logits at least that.
        remat: recompute the activations within each unit in the backward pass instead of storing them;
            for accelerators: XLA for CPU merges the second computation with the first.
    """

    widths: Sequence[int] = (32, 64, 128, 256, 512)
    out_channels: int = 2
    use_bias: bool = False
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
        """
        unit = nn.remat(ResidualUnit, static_argnums=(2,)) if self.remat else ResidualUnit
        skips = []
        for level, width in enumerate(self.widths[:-1]):
            x = unit(width, 0.2, self.use_bias, self.dtype, name=f"down_{level}")(x, train)
            skips.append(x)
            x = pooling.max_pool(x, ceil_mode=True)
        x = unit(self.widths[-1], 0.2, self.use_bias, self.dtype, name="bottom")(x, train)
        for level, width in reversed(list(enumerate(self.widths[:-1]))):
            x = layers.ConvTranspose(
                width, 3, 2, padding="TORCH", use_bias=self.use_bias, dtype=self.dtype, kernel_init=_KERNEL,
                name=f"upsample_{level}",
            )(x)  # fmt: skip
            x = nn.relu(layers.BatchNorm(dtype=self.dtype, name=f"upsample_norm_{level}")(x, train=train))
            skip = skips[level]
            x = (x[tuple(slice(size) for size in (None, *skip.shape[1:-1]))] + skip) / 2
            x = unit(width, 0.0, self.use_bias, self.dtype, name=f"up_{level}")(x, train)
        # The head runs in float32 at least, so that logits are not rounded to the compute type.
        dtype = jnp.promote_types(x.dtype, jnp.float32)
        log_odds = math.log(self.initial_probability / (1 - self.initial_probability))

        def init_bias(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
            return jnp.zeros(shape, dtype).at[-1].set(log_odds)

        options = {"dtype": dtype, "kernel_init": _KERNEL, "bias_init": init_bias}
        return layers.Conv(self.out_channels, name="head", **options)(x)


class ResidualUnit(nn.Module):
    """A convolution, a residual block of three, and a convolution, each batch-normalised.

    Every normalisation is followed by the activation, but for the last one of the residual block, after which
    the block's input is added.

    Attributes:
        width: channels of all convolutions.
        slope: of the activation below 0.
        use_bias: see `FusionNet`.
        dtype: see `FusionNet`.
    """

    width: int
    slope: float
    use_bias: bool
    dtype: DTypeLike

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channels"], train: bool
    ) -> Float[Array, "batch *spatial features"]:
        """Applies the unit; `x` is (batch, *spatial, channels)."""
        x = shortcut = self._activate(self._convolve(x, 0, train))
        for index in (1, 2):
            x = self._activate(self._convolve(x, index, train))
        x = self._convolve(x, 3, train) + shortcut
        return self._activate(self._convolve(x, 4, train))

    def _convolve(self, x: jax.Array, index: int, train: bool) -> jax.Array:
        x = layers.Conv(
            self.width, use_bias=self.use_bias, dtype=self.dtype, kernel_init=_KERNEL, name=f"conv_{index}"
        )(x)
        return layers.BatchNorm(dtype=self.dtype, name=f"norm_{index}")(x, train=train)

    def _activate(self, x: jax.Array) -> jax.Array:
        return nn.leaky_relu(x, self.slope) if self.slope else nn.relu(x)
