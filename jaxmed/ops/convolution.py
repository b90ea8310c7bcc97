"""Up-sampling convolutions as dense products, without dilation, reduction windows or reshaped axes.

A transposed convolution of stride s is s^d ordinary ones, one for each phase of the output, that are
interleaved. Written so, it is exact, an axis that is split over devices exchanges only its borders, and
nothing depends on how a library treats dilated convolutions (whose gradients XLA computes 10 to 100 times
slower on CPU).

Kernels are (*window, in, out), as in `jax.lax` with "HWIO" and in flax. The `weight` of a PyTorch
`ConvTransposeNd`, (in, out, *window), becomes one by flipping its window axes and moving them to the front.
"""

import itertools
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from jaxmed.ops import polyphase


def depth_to_space(
    x: Shaped[Array, "batch *spatial blocks"], block: int = 2
) -> Shaped[Array, "batch *upsampled channels"]:
    """Moves blocks of channels to a finer grid.

    Args:
        x: (batch, *spatial, block^d channels); the channels count (block, ..., block, channels), the first
            block axis belonging to the first spatial one.
        block: factor by which every spatial axis grows.

    Returns:
        (batch, *(block * spatial), channels).

    Raises:
        ValueError: the channels are no multiple of block^d.
    """
    num_spatial = x.ndim - 2
    if x.shape[-1] % block**num_spatial:
        raise ValueError(f"x: {x.shape[-1]} channels; wanted a multiple of {block}^{num_spatial}")
    for axis in range(1, 1 + num_spatial):
        x = polyphase.interleave(jnp.split(x, block, axis=-1), axis, block * x.shape[axis])
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
    stride: int = 2,
    padding: Literal["SAME", "TORCH"] = "SAME",
) -> Float[Array, "batch *upsampled out_channels"]:
    """Transposed convolution whose output is `stride` times as large as its input.

    Output o is the sum over t of kernel[t] z[o + t - p] along every axis, z being x with stride - 1 zeros
    between its elements and zeros around. The window k is not smaller than the stride; where they are equal,
    it is one matrix product and `depth_to_space`. Otherwise there is one product for each shift of the input.
    Products accumulate in float32 at least.

    Args:
        x: (batch, *spatial, in_channels), with one to three spatial axes.
        kernel: (*window, in_channels, out_channels).
        stride: of all axes.
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
    if len(window) != x.ndim - 2 or min(window) < stride:
        raise ValueError(
            f"kernel: shape {kernel.shape} for x of shape {x.shape} and stride {stride}; wanted one window "
            "size not below the stride for each axis between the batch and the channels"
        )
    taps = [_taps_by_shift(size, stride, padding) for size in window]
    phases: dict[tuple[int, ...], jax.Array] = {}
    for shift in itertools.product(*taps):
        pairs = [tuple(zip(*axes, strict=True)) for axes in itertools.product(*_at(taps, shift))]
        products = _multiply(_shift(x, shift), jnp.concatenate([kernel[tap] for _, tap in pairs], axis=-1))
        for (phase, _), product in zip(pairs, jnp.split(products, len(pairs), axis=-1), strict=True):
            phases[phase] = phases[phase] + product if phase in phases else product
    blocks = jnp.concatenate([phases[phase] for phase in sorted(phases)], axis=-1)
    return depth_to_space(blocks.astype(jnp.result_type(x, kernel)), stride)


def upsample_conv(
    x: Float[Array, "batch *spatial in_channels"], kernel: Float[Array, "*window in_channels out_channels"]
) -> Float[Array, "batch *upsampled out_channels"]:
    """Repeats every element twice along every spatial axis, then convolves with zero padding ("SAME").

    Computed on the coarse grid as a transposed convolution with the kernel k[t] + k[t - 1], which for a
    window of 3 takes 2^d instead of 3^d products for each output.

    Args:
        x: (batch, *spatial, in_channels), with one to three spatial axes.
        kernel: (*window, in_channels, out_channels), the window odd along every axis.

    Returns:
        (batch, *(2 * spatial), out_channels), of the common dtype of `x` and `kernel`.

    Raises:
        ValueError: an even window, or another number of axes than `x`.
    """
    if any(size % 2 == 0 for size in kernel.shape[:-2]):
        raise ValueError(f"kernel: shape {kernel.shape}; wanted odd window sizes")
    for axis in range(kernel.ndim - 2):
        after, before = ([(0, 0)] * kernel.ndim for _ in range(2))
        after[axis], before[axis] = (0, 1), (1, 0)
        kernel = jnp.pad(kernel, after) + jnp.pad(kernel, before)
    return conv_transpose(x, kernel)


def _taps_by_shift(size: int, stride: int, padding: str) -> dict[int, list[tuple[int, int]]]:
    """For every shift of the input along one axis, the (phase of the output, tap of the kernel) it meets."""
    excess = size - stride
    front = size - 1 - (excess // 2 if padding == "SAME" else -(-excess // 2))
    taps: dict[int, list[tuple[int, int]]] = {}
    for phase, tap in itertools.product(range(stride), range(size)):
        shift, rest = divmod(phase + tap - front, stride)
        if rest == 0:
            taps.setdefault(shift, []).append((phase, tap))
    return taps


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
