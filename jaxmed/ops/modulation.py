"""Convolutions whose kernel each example scales by a style of its own (StyleGAN2's weight modulation)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmed.ops import convolution

_EPSILON = 1e-8


def modulated_conv(
    x: Float[Array, "batch *spatial in_channels"],
    kernel: Float[Array, "*window in_channels out_channels"],
    styles: Float[Array, "batch in_channels"],
    *,
    demodulate: bool = True,
    convolve: Callable[[Array, Array], Array] = convolution.conv,
) -> Float[Array, "batch *out_spatial out_channels"]:
    """Convolves every example with k'[t, i, o] = s[i] k[t, i, o], of unit norm for each output channel.

    Not one kernel per example is made: a kernel that is scaled along its input channels is the input scaled,
    and one that is scaled along its output channels is the output scaled, so that all examples share one
    ordinary convolution. Equal, up to rounding, to a convolution with a group for each example.

    Args:
        x: (batch, *spatial, in_channels).
        kernel: (*window, in_channels, out_channels).
        styles: (batch, in_channels), s.
        demodulate: whether outputs are divided by sqrt(sum of k'^2 over window and input channels + 1e-8).
        convolve: `(x, kernel) -> y`, linear in both, that mixes examples nowhere; up-sampling ones too.

    Returns:
        (batch, *out_spatial, out_channels) of the dtype of `x`; norms are computed in float32.

    Reference: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, equations 1 to 3.
    """
    y = convolve(_scale(x, styles), kernel)
    return _scale(y, demodulation(kernel, styles)) if demodulate else y


def demodulation(
    kernel: Float[Array, "*window in_channels out_channels"], styles: Float[Array, "batch in_channels"]
) -> Float[Array, "batch out_channels"]:
    """What makes each output channel's modulated kernel a unit vector: 1 / sqrt(sum (s k)^2 + 1e-8).

    Args:
        kernel: (*window, in_channels, out_channels).
        styles: (batch, in_channels).

    Returns:
        (batch, out_channels) float32 at least.
    """
    precise = jnp.promote_types(jnp.result_type(kernel, styles), jnp.float32)
    squares = jnp.square(kernel.astype(precise)).sum(axis=tuple(range(kernel.ndim - 2)))
    return jax.lax.rsqrt(jnp.square(styles.astype(precise)) @ squares + _EPSILON)


def _scale(x: Array, factors: Array) -> Array:
    """Multiplies the channels of each example by its own factors."""
    shape = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
    return x * jnp.broadcast_to(factors.astype(x.dtype).reshape(shape), x.shape)
