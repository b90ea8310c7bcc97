"""Polyphase components of an axis: taken apart, put together, and shifted.

On one device a reshape from n s to (n, s) does the same, and faster. Over several it is done without
communication only where n divides over them; otherwise the whole axis is collected on every device.
Strided slices and padding move the elements at the borders alone, whatever the size.
"""

import functools
import operator
from collections.abc import Sequence

import jax
from jax import lax
from jaxtyping import Array, Shaped


def component(x: Shaped[Array, "*shape"], axis: int, stride: int, offset: int) -> Shaped[Array, "*shortened"]:
    """Takes the elements `offset`, `offset + stride`, ... of an axis."""
    return lax.slice_in_dim(x, offset, x.shape[axis], stride, axis)


def window(
    x: Shaped[Array, "*shape"], axis: int, start: int, size: int, stride: int = 1
) -> Shaped[Array, "*resized"]:
    """Takes the `size` elements `start`, `start + stride`, ... of an axis, zeros where it has none."""
    behind = start + (size - 1) * stride + 1 - x.shape[axis]
    return component(_pad(x, axis, -start, behind, 0), axis, stride, 0)


def interleave(
    components: Sequence[Shaped[Array, "*shape"]], axis: int, size: int
) -> Shaped[Array, "*lengthened"]:
    """Puts components together: element i of component p becomes element `i * len(components) + p`.

    Args:
        components: arrays of one shape and dtype.
        axis: along which they alternate.
        size: how many elements to keep, from the first one.

    Returns:
        The array with `size` elements along `axis`.
    """
    stride = len(components)
    last = (components[0].shape[axis] - 1) * stride
    spread = [
        _pad(part, axis, offset, size - 1 - last - offset, stride - 1)
        for offset, part in enumerate(components)
    ]
    return functools.reduce(operator.add, spread)


def shift(x: Shaped[Array, "*shape"], axis: int, distance: int) -> Shaped[Array, "*shape"]:
    """Moves the elements of an axis up by `distance` (down where it is negative); zeros follow."""
    return _pad(x, axis, distance, -distance, 0) if distance else x


def _pad(x: jax.Array, axis: int, low: int, high: int, interior: int) -> jax.Array:
    widths = [(low, high, interior) if place == axis else (0, 0, 0) for place in range(x.ndim)]
    return lax.pad(x, lax.full((), 0, x.dtype), widths)
