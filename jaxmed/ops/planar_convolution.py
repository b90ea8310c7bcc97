"""Convolution of images on one CPU, whose kernel has its gradient from one matrix product.

XLA computes that gradient as a convolution with a window of the whole image, which on CPUs takes several
times as long as the convolution itself. Here every derivative of any order is again one of three sums: the
convolution, its adjoint in the image, and its adjoint in the kernel. Derivatives are reverse mode; forward
mode (`jax.jvp`, `jax.hessian`) is refused by JAX.

All take x (batch, height, width, in_channels), a kernel (*window, in_channels, out_channels), and two entries
in `strides`, `pads` (zeros before and behind) and `dilations`, which are tuples.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxmed.ops import convolution_forms as forms
from jaxmed.ops import polyphase

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

_MAX_OPERAND_SIZE = 2**28  # elements, 1 GiB in float32


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def conv(
    x: Float[Array, "batch height width in_channels"],
    kernel: Float[Array, "kernel_height kernel_width in_channels out_channels"],
    strides: Pair,
    pads: Pads,
    dilations: Pair,
) -> Float[Array, "batch out_height out_width out_channels"]:
    """The convolution of `jax.lax`."""
    return forms.native(x, kernel, strides, pads, dilations)


def _conv_forward(x, kernel, strides, pads, dilations):
    return conv(x, kernel, strides, pads, dilations), (x, kernel)


def _conv_backward(strides, pads, dilations, residuals, cotangent):
    x, kernel = residuals
    return (
        _image_gradient(cotangent, kernel, x.shape, strides, pads, dilations),
        kernel_gradient(x, cotangent, kernel.shape[:2], strides, pads, dilations),
    )


conv.defvjp(_conv_forward, _conv_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def kernel_gradient(
    x: Float[Array, "batch height width in_channels"],
    cotangent: Float[Array, "batch out_height out_width out_channels"],
    window: Pair,
    strides: Pair,
    pads: Pads,
    dilations: Pair,
) -> Float[Array, "kernel_height kernel_width in_channels out_channels"]:
    """The sum over the batch and all places of what each tap of the kernel sees, times the cotangent.

    One product, accumulated in float32 at least, has all sums: taps along the width become channels of the
    image, taps along the height channels of the cotangent, and channels come first, as the product takes them
    on a CPU. With strides all taps become channels of the image. A batch for which an operand would exceed
    1 GiB (of float32) is taken in equal parts, down to single images, one after the other.

    Args:
        x: (batch, height, width, in_channels).
        cotangent: of the convolution, (batch, out_height, out_width, out_channels).
        window: of the kernel.
        strides: of the convolution.
        pads: likewise.
        dilations: likewise.
    """
    num_parts = _num_parts(len(x), _operand_size(x.size, cotangent.size, window, strides))
    if num_parts == 1:
        return _sum_products(x, cotangent, window, strides, pads, dilations).astype(x.dtype)
    # A loop, since XLA would make the operands of all parts at once.
    parts = [array.reshape(num_parts, -1, *array.shape[1:]) for array in (x, cotangent)]
    products = functools.partial(
        _sum_products, window=window, strides=strides, pads=pads, dilations=dilations
    )
    shape = jax.eval_shape(products, *(part[0] for part in parts))
    total, _ = lax.scan(
        lambda total, part: (total + products(*part), None), jnp.zeros(shape.shape, shape.dtype), parts
    )
    return total.astype(x.dtype)


def _num_parts(batch_size, operand_size):
    """Into how many equal parts a batch is divided."""
    wanted = max(-(-operand_size // _MAX_OPERAND_SIZE), 1)
    return next((n for n in range(wanted, batch_size) if batch_size % n == 0), max(batch_size, 1))


def _operand_size(size, out_size, window, strides):
    """Elements of the larger operand of the product, or somewhat more."""
    if strides == (1, 1):
        return max(window[1] * size, window[0] * out_size)
    return max(math.prod(window) * size // math.prod(strides), out_size)


def _sum_products(x, cotangent, window, strides, pads, dilations):
    """The gradient of a kernel by some images, in float32 at least."""
    (before, _), (left, _) = pads
    rows, columns = (
        [tap * dilation for tap in range(size)] for size, dilation in zip(window, dilations, strict=True)
    )
    height, width = cotangent.shape[1:3]
    if strides == (1, 1):
        image, errors = (array.transpose(3, 0, 1, 2) for array in (x, cotangent))
        seen = jnp.concatenate([polyphase.window(image, 3, column - left, width) for column in columns])
        told = jnp.concatenate([polyphase.window(errors, 2, before - row, x.shape[1]) for row in rows])
        product = _multiply("onhw,inhw->oi", told, seen)
        shape = (window[0], cotangent.shape[-1], window[1], x.shape[-1])
        return product.reshape(shape).transpose(0, 2, 3, 1)
    parts = [polyphase.window(x, 1, row - before, height, strides[0]) for row in rows]
    taps = [
        polyphase.window(part, 2, column - left, width, strides[1]) for part in parts for column in columns
    ]
    product = _multiply("nhwi,nhwo->io", jnp.concatenate(taps, -1), cotangent)
    return product.reshape(*window, x.shape[-1], -1)


def _kernel_gradient_forward(x, cotangent, *geometry):
    return kernel_gradient(x, cotangent, *geometry), (x, cotangent)


def _kernel_gradient_backward(window, strides, pads, dilations, residuals, kernel):
    x, cotangent = residuals
    return (
        _image_gradient(cotangent, kernel, x.shape, strides, pads, dilations),
        conv(x, kernel, strides, pads, dilations),
    )


kernel_gradient.defvjp(_kernel_gradient_forward, _kernel_gradient_backward)


def _image_gradient(cotangent, kernel, shape, strides, pads, dilations):
    """The adjoint of the convolution in the image, itself a convolution where the strides are 1."""
    if strides != (1, 1):
        zeros = jnp.zeros(shape, cotangent.dtype)
        return jax.vjp(lambda x: forms.native(x, kernel, strides, pads, dilations), zeros)[1](cotangent)[0]
    own_pads = tuple(
        ((taps - 1) * dilation - before, size - out_size + before)
        for taps, dilation, (before, _), size, out_size in zip(
            kernel.shape[:2], dilations, pads, shape[1:3], cotangent.shape[1:3], strict=True
        )
    )
    return conv(cotangent, jnp.flip(kernel, (0, 1)).swapaxes(2, 3), strides, own_pads, dilations)


def _multiply(axes, x, y):
    precise = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.einsum(axes, x, y, preferred_element_type=precise)
