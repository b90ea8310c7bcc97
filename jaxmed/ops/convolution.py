"""Convolutions in the forms that are fast on the backend, and up-sampling ones as dense products.

Which form `conv` takes is decided here and nowhere else; the forms are in `jaxmed.ops.convolution_forms`.

A transposed convolution of stride s is s^d ordinary ones, one for each phase of the output, that are
interleaved. Written so, it is exact, an axis that is split over devices exchanges only its borders, and
nothing depends on how a library treats dilated convolutions (whose gradients XLA computes 10 to 100 times
slower on CPU).

Kernels are (*window, in, out), as in `jax.lax` with "HWIO" and in flax. The `weight` of a PyTorch
`ConvTransposeNd`, (in, out, *window), becomes one by flipping its window axes and moving them to the front.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Shaped

from jaxmed.ops import backend, planar_convolution, polyphase
from jaxmed.ops import convolution_forms as forms

_NUM_VOLUME_AXES = 3
_MIN_PRODUCT_CHANNELS = 48  # of slices or images; below, lax's gradient of the kernel is as fast on a CPU


def conv(
    x: Float[Array, "batch *spatial in_channels"],
    kernel: Float[Array, "*window group_channels out_channels"],
    *,
    stride: int | Sequence[int] = 1,
    padding: Literal["SAME", "VALID"] | int | Sequence[tuple[int, int]] = "SAME",
    dilation: int | Sequence[int] = 1,
    num_groups: int = 1,
) -> Float[Array, "batch *out_spatial out_channels"]:
    """Convolution (cross-correlation, as in all libraries of networks) of images or volumes.

    The value is that of `jax.lax.conv_general_dilated` up to rounding, whatever the form: windows of one
    element are a matrix product; on a CPU, grouped convolutions are taken apart, those of one channel each
    are sums of shifted products, and volumes on a single device are convolved as slices whose channels hold
    the taps along depth. Everything else, and volumes on accelerators or over several devices, is left to
    `jax.lax`, which keeps a split depth split.

    On a single CPU the gradient of a kernel for 48 channels or more (16 of volumes, by a window of 3) is a
    matrix product, see `planar_convolution`; such convolutions have no forward-mode derivatives there.

    Args:
        x: (batch, *spatial, in_channels), with one to three spatial axes.
        kernel: (*window, in_channels / num_groups, out_channels).
        stride: of all axes, or of each.
        padding: zeros around: "SAME" keeps a size n at ceil(n / stride), with the odd zero behind; "VALID"
            has none; a number is that many on both sides of all axes, as PyTorch's; or (before, behind) of
            each axis.
        dilation: distance of the window's taps, of all axes or of each.
        num_groups: groups of channels that do not mix.

    Returns:
        (batch, *out_spatial, out_channels), of the common dtype of `x` and `kernel`.

    Raises:
        ValueError: the window has another number of axes than `x`, the channels do not fit, or nothing of the
            output is left.
    """
    _check_shapes(x, kernel, num_groups)
    window, dtype = kernel.shape[:-2], jnp.result_type(x, kernel)
    strides, dilations = (_for_each_axis(value, len(window)) for value in (stride, dilation))
    pads = _explicit_pads(x.shape[1:-1], window, strides, dilations, padding)
    x, kernel = x.astype(dtype), kernel.astype(dtype)
    if num_groups == 1:
        return _conv_dense(x, kernel, strides, pads, dilations)
    if not backend.on_cpu():
        return forms.native(x, kernel, strides, pads, dilations, num_groups=num_groups)
    if kernel.shape[-2] == 1:
        return forms.shifted_products(x, kernel, strides, pads, dilations)
    groups = zip(jnp.split(x, num_groups, -1), jnp.split(kernel, num_groups, -1), strict=True)
    return jnp.concatenate([_conv_dense(*group, strides, pads, dilations) for group in groups], -1)


def _conv_dense(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, ...], pads: forms.Pads, dilations: tuple[int, ...]
) -> jax.Array:
    """Convolves without groups."""
    window = kernel.shape[:-2]
    if math.prod(window) == 1 and not any(map(any, pads)):
        return forms.pointwise(x, kernel, strides)
    if len(window) == 1 or not _on_single_cpu():
        return forms.native(x, kernel, strides, pads, dilations)
    is_volume = len(window) == _NUM_VOLUME_AXES
    num_stacked = window[0] if is_volume else 1
    is_wide = num_stacked * kernel.shape[-2] >= _MIN_PRODUCT_CHANNELS
    convolve: Any = planar_convolution.conv if is_wide else forms.native
    if is_volume:
        return forms.stacked_taps(x, kernel, strides, pads, dilations, convolve=convolve)
    return convolve(x, kernel, strides, pads, dilations)


def _on_single_cpu() -> bool:
    return backend.on_cpu() and jax.device_count() == 1


def _check_shapes(x: jax.Array, kernel: jax.Array, num_groups: int) -> None:
    fits = kernel.ndim == x.ndim and x.shape[-1] == kernel.shape[-2] * num_groups
    if not fits or kernel.shape[-1] % num_groups:
        raise ValueError(
            f"kernel: shape {kernel.shape} for x of shape {x.shape} and {num_groups} group(s); wanted "
            "(*window, in_channels / groups, out_channels), the groups dividing both"
        )


def _for_each_axis(value: int | Sequence[int], num_axes: int) -> tuple[int, ...]:
    values = (value,) * num_axes if isinstance(value, int) else tuple(value)
    if len(values) != num_axes or min(values) < 1:
        raise ValueError(f"{values}: wanted one number of 1 or more for each of {num_axes} spatial axes")
    return values


def _explicit_pads(
    spatial: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str | int | Sequence[tuple[int, int]],
) -> tuple[tuple[int, int], ...]:
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(window, dilations, strict=True)]
    if isinstance(padding, str):
        pads = lax.padtype_to_pads(spatial, reach, strides, padding)
    elif isinstance(padding, int):
        pads = [(padding, padding)] * len(window)
    else:
        pads = padding
    pads = tuple((int(before), int(behind)) for before, behind in pads)
    padded = [size + sum(pad) for size, pad in zip(spatial, pads, strict=True)]
    if any(size < wanted for size, wanted in zip(padded, reach, strict=True)):
        raise ValueError(f"x: spatial sizes {tuple(padded)} with padding; the window reaches over {reach}")
    return pads


def depth_to_space(
    x: Shaped[Array, "batch *spatial blocks"], block: int | Sequence[int] = 2
) -> Shaped[Array, "batch *upsampled channels"]:
    """Moves blocks of channels to a finer grid.

    Args:
        x: (batch, *spatial, block^d channels); the channels count (block, ..., block, channels), the first
            block axis belonging to the first spatial one.
        block: factor by which every spatial axis grows, or the factor of each.

    Returns:
        (batch, *(block * spatial), channels).

    Raises:
        ValueError: the channels are no multiple of the product of the factors.
    """
    blocks = _for_each_axis(block, x.ndim - 2)
    if x.shape[-1] % math.prod(blocks):
        raise ValueError(f"x: {x.shape[-1]} channels; wanted a multiple of {math.prod(blocks)}")
    for axis, size in enumerate(blocks, start=1):
        if size > 1:
            x = polyphase.interleave(jnp.split(x, size, axis=-1), axis, size * x.shape[axis])
    return x


def space_to_depth(
    x: Shaped[Array, "batch *spatial channels"], block: int = 2
) -> Shaped[Array, "batch *downsampled blocks"]:
    """Moves the elements of every block of the grid to the channels; the inverse of `depth_to_space`.

    Args:
        x: (batch, *spatial, channels).
        block: factor by which every spatial axis shrinks.

    Returns:
        (batch, *(spatial / block), block^d channels).

    Raises:
        ValueError: a spatial size is no multiple of `block`.
    """
    if any(size % block for size in x.shape[1:-1]):
        raise ValueError(f"x: shape {x.shape}; wanted spatial sizes that are multiples of {block}")
    for axis in range(x.ndim - 2, 0, -1):
        x = jnp.concatenate([polyphase.component(x, axis, block, offset) for offset in range(block)], -1)
    return x


def conv_transpose(
    x: Float[Array, "batch *spatial in_channels"],
    kernel: Float[Array, "*window in_channels out_channels"],
    *,
    stride: int | Sequence[int] = 2,
    padding: Literal["SAME", "TORCH"] = "SAME",
) -> Float[Array, "batch *upsampled out_channels"]:
    """Transposed convolution whose output is `stride` times as large as its input.

    Output o is the sum over t of kernel[t] z[o + t - p] along every axis, z being x with stride - 1 zeros
    between its elements and zeros around. The window k is not smaller than the stride; where they are equal,
    it is one matrix product and `depth_to_space`. Otherwise there is one product for each shift of the input,
    which accumulate in float32 at least; on a single CPU, if each phase has two taps or more along every
    axis, one `conv` for each phase, with what is said there of its derivatives.

    Args:
        x: (batch, *spatial, in_channels), with one to three spatial axes.
        kernel: (*window, in_channels, out_channels).
        stride: of all axes, or of each.
        padding: "SAME" has p = k - 1 - floor((k - stride) / 2), as `jax.lax.conv_transpose` and flax;
            "TORCH" has p = k - 1 - ceil((k - stride) / 2), as PyTorch with `padding` ceil((k - stride) / 2)
            and `output_padding` (k - stride) mod 2: for k = 3 and stride 2, both 1. They differ only where
            k - stride is odd.

    Returns:
        (batch, *(stride * spatial), out_channels), of the common dtype of `x` and `kernel`.

    Raises:
        ValueError: the window has another number of axes than `x`, or is smaller than the stride.
    """
    window = kernel.shape[:-2]
    strides = _for_each_axis(stride, x.ndim - 2)
    if len(window) != len(strides) or any(size < step for size, step in zip(window, strides, strict=True)):
        raise ValueError(
            f"kernel: shape {kernel.shape} for x of shape {x.shape} and stride {stride}; wanted one window "
            "size not below the stride for each axis between the batch and the channels"
        )
    taps = [_taps_by_shift(size, step, padding) for size, step in zip(window, strides, strict=True)]
    is_wide = all(size >= 2 * step for size, step in zip(window, strides, strict=True))
    to_phases = _convolve_phases if is_wide and _on_single_cpu() else _multiply_shifts
    return depth_to_space(to_phases(x, kernel, taps, strides), strides)


def upsample_conv(
    x: Float[Array, "batch *spatial in_channels"],
    kernel: Float[Array, "*window in_channels out_channels"],
    *,
    factor: int | Sequence[int] = 2,
) -> Float[Array, "batch *upsampled out_channels"]:
    """Repeats every element along the spatial axes, then convolves with zero padding ("SAME").

    Computed on the coarse grid as a transposed convolution, for a factor of 2 with the kernel
    k[t] + k[t - 1], which for a window of 3 takes 2^d instead of 3^d products for each output.

    Args:
        x: (batch, *spatial, in_channels), with one to three spatial axes.
        kernel: (*window, in_channels, out_channels); an even window reaches one further up than down.
        factor: how often elements are repeated along all axes, or along each.

    Returns:
        (batch, *(factor * spatial), out_channels), of the common dtype of `x` and `kernel`.

    Raises:
        ValueError: another number of axes than `x`.
    """
    factors = _for_each_axis(factor, x.ndim - 2)
    for axis, times in enumerate(factors):
        widths = [[(0, 0)] * kernel.ndim for _ in range(times)]
        for before, width in enumerate(widths):
            width[axis] = (before, times - 1 - before)
        kernel = sum((jnp.pad(kernel, width) for width in widths[1:]), jnp.pad(kernel, widths[0]))
    return conv_transpose(x, kernel, stride=factors, padding="TORCH")


_Taps = dict[int, list[tuple[int, int]]]
"""For every shift of the input along one axis, the (phase of the output, tap of the kernel) it meets."""


def _taps_by_shift(size: int, stride: int, padding: str) -> _Taps:
    excess = size - stride
    front = size - 1 - (excess // 2 if padding == "SAME" else -(-excess // 2))
    taps: _Taps = {}
    for phase, tap in itertools.product(range(stride), range(size)):
        shift, rest = divmod(phase + tap - front, stride)
        if rest == 0:
            taps.setdefault(shift, []).append((phase, tap))
    return taps


def _convolve_phases(
    x: jax.Array, kernel: jax.Array, taps: Sequence[_Taps], strides: Sequence[int]
) -> jax.Array:
    """All phases of a transposed convolution as channels, each by its own part of the kernel."""
    phases = []
    for phase in np.ndindex(*strides):
        part, pads = kernel, []
        for axis, (number, of_axis) in enumerate(zip(phase, taps, strict=True)):
            reached = sorted((s, tap) for s, pairs in of_axis.items() for its, tap in pairs if its == number)
            (first, start), (last, stop) = reached[0], reached[-1]
            part = lax.slice_in_dim(part, start, stop + 1, strides[axis], axis)
            pads.append((-first, last))
        phases.append(conv(x, part, padding=pads))
    return jnp.concatenate(phases, axis=-1)


def _multiply_shifts(
    x: jax.Array, kernel: jax.Array, taps: Sequence[_Taps], strides: Sequence[int]
) -> jax.Array:
    """The same, by one product for each shift of the input."""
    window = kernel.shape[:-2]
    # Taken apart once: the gradient of indexing is as large as the kernel, for every tap.
    parts = lax.split(kernel.reshape(-1, *kernel.shape[-2:]), [1] * math.prod(window))
    matrices = dict(zip(np.ndindex(*window), (part[0] for part in parts), strict=True))
    phases: dict[tuple[int, ...], jax.Array] = {}
    for shift in itertools.product(*taps):
        pairs = [tuple(zip(*axes, strict=True)) for axes in itertools.product(*_at(taps, shift))]
        products = _multiply(_shift(x, shift), jnp.concatenate([matrices[tap] for _, tap in pairs], axis=-1))
        for (phase, _), product in zip(pairs, jnp.split(products, len(pairs), axis=-1), strict=True):
            phases[phase] = phases[phase] + product if phase in phases else product
    blocks = jnp.concatenate([phases[phase] for phase in sorted(phases)], axis=-1)
    return blocks.astype(jnp.result_type(x, kernel))


def _at(taps: Sequence[dict], shift: Sequence[int]) -> list:
    return [of_axis[distance] for of_axis, distance in zip(taps, shift, strict=True)]


def _shift(x: jax.Array, shift: Sequence[int]) -> jax.Array:
    """Reads x at position + shift."""
    for axis, distance in enumerate(shift, start=1):
        x = polyphase.shift(x, axis, -distance)
    return x


def _multiply(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """Multiplies the channels by a matrix, accumulating in float32 at least."""
    precise = jnp.promote_types(jnp.result_type(x, matrix), jnp.float32)
    return jnp.einsum("...i,io->...o", x, matrix, preferred_element_type=precise)
