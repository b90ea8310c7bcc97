"""Up- and down-sampling by 2 with a separable low-pass filter, alone and joined to a convolution.

Taps are along one axis, the same for all. An odd number of them is centred on a voxel, an even number between
two. Beyond the borders there are zeros. All of it is shifts and sums, of any derivative, and an axis that is
split over devices exchanges only its borders.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmed.ops import convolution, polyphase


def low_pass(
    x: Float[Array, "batch *spatial channels"], taps: Sequence[float]
) -> Float[Array, "batch *spatial channels"]:
    """Filters every spatial axis with `taps`, scaled to sum to 1: y[o] = sum_j f[j] x[o + j - size // 2]."""
    return functools.reduce(
        lambda y, axis: _filter(y, axis, taps, 1, len(taps) // 2), range(1, x.ndim - 1), x
    )


def downsample(
    x: Float[Array, "batch *spatial channels"], taps: Sequence[float]
) -> Float[Array, "batch *halved channels"]:
    """Filters, then takes every other voxel, the first one or, of an even filter, the centre of each pair.

    Args:
        x: (batch, *spatial, channels) with even sizes.
        taps: of the low-pass filter.

    Returns:
        (batch, *(spatial / 2), channels).

    Raises:
        ValueError: an odd size.
    """
    _check_even(x)
    before = (len(taps) - 1) // 2
    return functools.reduce(lambda y, axis: _filter(y, axis, taps, 2, before), range(1, x.ndim - 1), x)


def conv_downsample(
    x: Float[Array, "batch *spatial in_channels"],
    kernel: Float[Array, "*window in_channels out_channels"],
    taps: Sequence[float],
) -> Float[Array, "batch *halved out_channels"]:
    """Filters, then convolves with a window of 3 and a stride of 2, centred as `downsample` is.

    Reference: `conv_downsample_2d` of the code of Karras et al., Analyzing and Improving the Image Quality of
    StyleGAN. differs: beyond the border the filtered image is zero too.

    Raises:
        ValueError: an odd size.
    """
    _check_even(x)
    pads = (1, 1) if len(taps) % 2 else (0, 1)
    return convolution.conv(low_pass(x, taps), kernel, stride=2, padding=(pads,) * (x.ndim - 2))


def upsample_conv(
    x: Float[Array, "batch *spatial in_channels"],
    kernel: Float[Array, "*window in_channels out_channels"],
    taps: Sequence[float],
) -> Float[Array, "batch *doubled out_channels"]:
    """Puts zeros between voxels, convolves with a window of 3, and filters with `taps` that sum to 2 an axis.

    Filter and convolution commute up to the borders, so that this is an up-sampling by the filter followed by
    the convolution; in this order it takes an eighth of the products in volumes. Even and odd voxels of a
    constant image get the sums of every other tap: of (1, 3, 3, 1) both 1; of (1, 3, 3, 3, 1) 10/11 and
    12/11, a lattice.

    Args:
        x: (batch, *spatial, in_channels).
        kernel: (*window, in_channels, out_channels), a window of 3.
        taps: of the low-pass filter.

    Returns:
        (batch, *(2 spatial), out_channels).

    Reference: `upsample_conv_2d` of the same code. differs: an odd filter is centred, where the code's output
    lies one voxel further on; what the convolution would give before the first voxel is zero.
    """
    num_axes = x.ndim - 2
    y = convolution.conv_transpose(x, kernel, stride=2, padding="TORCH")
    return low_pass(y, taps) * jnp.asarray(2.0**num_axes, x.dtype)


def _filter(x: Array, axis: int, taps: Sequence[float], stride: int, before: int) -> Array:
    size, total = x.shape[axis] // stride, sum(taps)
    parts = (
        polyphase.window(x, axis, number - before, size, stride) * jnp.asarray(tap / total, x.dtype)
        for number, tap in enumerate(taps)
    )
    return functools.reduce(jnp.add, parts)


def _check_even(x: Array) -> None:
    if any(size % 2 for size in x.shape[1:-1]):
        raise ValueError(f"x: shape {x.shape}; wanted even spatial sizes")
