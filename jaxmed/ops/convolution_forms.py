"""Exact forms of convolution that suit the backend, for `jaxmed.ops.convolution.conv` to choose from.

XLA computes two-dimensional convolutions on CPU well, but three-dimensional ones several times, their
strided and grouped kin 30 to 120 times slower than PyTorch. Each form here is the same sum, written with
what is fast.

All take x (batch, *spatial, in_channels), a kernel (*window, in_channels / groups, out_channels) and one
entry for each spatial axis in `strides`, `pads` (zeros before and behind) and `dilations`.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxmed.ops import polyphase

_LAYOUTS = {
    1: ("NWC", "WIO", "NWC"),
    2: ("NHWC", "HWIO", "NHWC"),
    3: ("NDHWC", "DHWIO", "NDHWC"),
}

Pads = Sequence[tuple[int, int]]


def native(
    x: Float[Array, "batch *spatial in_channels"],
    kernel: Float[Array, "*window group_channels out_channels"],
    strides: Sequence[int],
    pads: Pads,
    dilations: Sequence[int],
    *,
    num_groups: int = 1,
) -> Float[Array, "batch *out_spatial out_channels"]:
    """The convolution of `jax.lax`."""
    return lax.conv_general_dilated(
        x,
        kernel,
        tuple(strides),
        tuple(pads),
        rhs_dilation=tuple(dilations),
        dimension_numbers=_LAYOUTS[x.ndim - 2],
        feature_group_count=num_groups,
    )


def pointwise(
    x: Float[Array, "batch *spatial in_channels"],
    kernel: Float[Array, "*window in_channels out_channels"],
    strides: Sequence[int],
) -> Float[Array, "batch *out_spatial out_channels"]:
    """A window of one element without padding: one matrix product, accumulated in float32 at least."""
    for axis, stride in enumerate(strides, start=1):
        x = polyphase.component(x, axis, stride, 0) if stride > 1 else x
    precise = jnp.promote_types(x.dtype, jnp.float32)
    matrix = kernel.reshape(kernel.shape[-2:])
    return jnp.einsum("...i,io->...o", x, matrix, preferred_element_type=precise).astype(x.dtype)


def stacked_taps(
    x: Float[Array, "batch depth height width in_channels"],
    kernel: Float[Array, "taps kernel_height kernel_width in_channels out_channels"],
    strides: Sequence[int],
    pads: Pads,
    dilations: Sequence[int],
    *,
    convolve: Callable[..., Array] = native,
) -> Float[Array, "batch out_depth out_height out_width out_channels"]:
    """A volume's convolution as one of its slices: the taps along depth become channels.

    Slice d of the stacked volume holds the slices that the window meets at d. Batch and depth are then one
    axis, so a depth that is split over devices would be collected: this form is for one device. `convolve`
    convolves the slices.
    """
    size = _output_size(x.shape[1], kernel.shape[0], strides[0], pads[0], dilations[0])
    starts = [tap * dilations[0] - pads[0][0] for tap in range(kernel.shape[0])]
    stacked = jnp.concatenate([polyphase.window(x, 1, start, size, strides[0]) for start in starts], -1)
    flat_kernel = kernel.transpose(1, 2, 0, 3, 4).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    slices = stacked.reshape(-1, *stacked.shape[2:])
    y = convolve(slices, flat_kernel, tuple(strides[1:]), tuple(pads[1:]), tuple(dilations[1:]))
    return y.reshape(x.shape[0], size, *y.shape[1:])


def shifted_products(
    x: Float[Array, "batch *spatial in_channels"],
    kernel: Float[Array, "*window one out_channels"],
    strides: Sequence[int],
    pads: Pads,
    dilations: Sequence[int],
) -> Float[Array, "batch *out_spatial out_channels"]:
    """One input channel for each output channel (depthwise): a sum of shifted products.

    Accumulated in float32 at least. Output channel o reads input channel o // (out / in).
    """
    window, repeats = kernel.shape[:-2], kernel.shape[-1] // x.shape[-1]
    sizes = [
        _output_size(*axis) for axis in zip(x.shape[1:-1], window, strides, pads, dilations, strict=True)
    ]
    precise = jnp.promote_types(x.dtype, jnp.float32)
    shape = (x.shape[0], *sizes, kernel.shape[-1])
    total = jnp.zeros(shape, precise)
    for tap in np.ndindex(*window):
        part = x
        for axis, (at, stride, pad, dilation) in enumerate(zip(tap, strides, pads, dilations, strict=True)):
            part = polyphase.window(part, axis + 1, at * dilation - pad[0], sizes[axis], stride)
        part = jnp.broadcast_to(part[..., None], (*part.shape, repeats)).reshape(shape)
        total += part.astype(precise) * jnp.broadcast_to(kernel[(*tap, 0)].astype(precise), shape)
    return total.astype(x.dtype)


def _output_size(size: int, window: int, stride: int, pad: tuple[int, int], dilation: int) -> int:
    return max((size + sum(pad) - (window - 1) * dilation - 1) // stride + 1, 0)
