"""Structural similarity of images and volumes at one and at several scales, on the device."""

import functools
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, finest first, as measured on observers by Wang et al. 2003."""

_SIGMA_OF_WINDOW = 1.5 / 11
_K1, _K2 = 0.01, 0.03


def ssim(
    first: Float[Array, "batch *spatial channels"],
    second: Float[Array, "..."],
    *,
    data_range: float,
    window_size: int = 11,
) -> Float[Array, " batch"]:
    """Structural similarity with a Gaussian window, averaged over all places where the window fits.

    (2 m1 m2 + c1) (2 s12 + c2) / ((m1^2 + m2^2 + c1) (s1^2 + s2^2 + c2)) from means, variances and covariance
    under the window, c1 = (0.01 L)^2, c2 = (0.03 L)^2 for the range L.

    Args:
        first: (batch, height, width, channels) or (batch, depth, height, width, channels).
        second: the same shape.
        data_range: L, the largest minus the smallest value that images may have.
        window_size: pixels along an axis, odd; the standard deviation is 1.5 / 11 of it.

    Returns:
        (batch,), at most 1, which identical images reach.

    Raises:
        ValueError: the shapes differ, the window does not fit, or its size is even.

    Reference: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity,
    equation 13.
    """
    _check(first, second, data_range, window_size)
    return _similarity(first, second, data_range, window_size)[0]


def multi_scale_ssim(
    first: Float[Array, "batch *spatial channels"],
    second: Float[Array, "..."],
    *,
    data_range: float,
    window_size: int = 11,
    num_scales: int | Literal["all"] = "all",
) -> Float[Array, " batch"]:
    """Multi-scale structural similarity: contrast and structure at every scale, luminance at the last.

    Between scales images are averaged over 2^d pixels, an odd last row dropped. Fewer scales than five take
    the first exponents, scaled to sum to 1. A negative mean of contrast and structure counts as 0.

    Args:
        first: (batch, *spatial, channels), 2-D or 3-D.
        second: the same shape.
        data_range: see `ssim`.
        window_size: see `ssim`; the same at every scale.
        num_scales: how many, or as many as the window fits into, five at most. Values of different numbers of
            scales do not compare.

    Returns:
        (batch,), in [0, 1].

    Raises:
        ValueError: as of `ssim`, or more scales than the window fits into.

    Reference: Wang et al., Multi-Scale Structural Similarity for Image Quality Assessment, equation 7.
    """
    _check(first, second, data_range, window_size)
    fitting = count_scales(first.shape[1:-1], window_size)
    count = fitting if num_scales == "all" else num_scales
    if not 1 <= count <= fitting:
        raise ValueError(
            f"num_scales: {count}; images of {first.shape[1:-1]} have room for 1 to {fitting} with a window "
            f"of {window_size}"
        )
    return _multi_scale(first, second, data_range, window_size, count)


class ScaleMoments(NamedTuple):
    """What structural similarity needs of images at one scale, whatever they are compared with.

    Attributes:
        shifted: (images, *spatial, channels), minus the middle of the range.
        mean: under the window, where it fits, of `shifted`.
        variance: likewise.
    """

    shifted: Array
    mean: Array
    variance: Array


@functools.partial(jax.jit, static_argnames=("data_range", "window_size"))
def scale_moments(
    images: Float[Array, "images *spatial channels"], *, data_range: float, window_size: int = 11
) -> list[ScaleMoments]:
    """The moments of images at all scales that the window fits into, for `compare_moments`.

    Args:
        images: (images, *spatial, channels) with values from 0 to `data_range`.
        data_range: see `ssim`.
        window_size: see `ssim`.

    Raises:
        ValueError: as of `ssim`.
    """
    _check(images, images, data_range, window_size)
    found, x = [], images.astype(jnp.float32) - data_range / 2
    for scale in range(count_scales(images.shape[1:-1], window_size)):
        x = _halve(x) if scale else x
        mean, square = jnp.split(_blur(jnp.concatenate([x, x * x]), window_size), 2)
        found.append(ScaleMoments(x, mean, square - mean**2))
    return found


@functools.partial(jax.jit, static_argnames=("data_range", "window_size"))
def compare_moments(
    first: list[ScaleMoments], second: list[ScaleMoments], *, data_range: float, window_size: int = 11
) -> Float[Array, "first second"]:
    """`multi_scale_ssim` of every image of one set with every one of another.

    One product per pair is filtered instead of five. Images of `first` take turns, so that memory grows with
    `second` alone.

    Args:
        first: from `scale_moments`.
        second: of images of the same size.
        data_range: as for the moments.
        window_size: likewise.

    Returns:
        (first, second), in [0, 1].
    """

    def compare(one: list[ScaleMoments]) -> Array:
        product = jnp.ones(len(second[0].mean))
        for scale, (x, y, weight) in enumerate(zip(one, second, _exponents(len(second)), strict=True)):
            shifted, mean, variance = (jnp.broadcast_to(a, b.shape) for a, b in zip(x, y, strict=True))
            covariance = _blur(shifted * y.shifted, window_size) - mean * y.mean
            contrast = _contrast(variance, y.variance, covariance, data_range)
            if scale == len(second) - 1:
                contrast *= _luminance(mean + data_range / 2, y.mean + data_range / 2, data_range)
            product *= jnp.maximum(contrast.mean(axis=tuple(range(1, contrast.ndim))), 0.0) ** weight
        return product

    return jax.lax.map(compare, first)


def count_scales(spatial: tuple[int, ...], window_size: int = 11) -> int:
    """How many scales of `multi_scale_ssim` the window fits into, five at most; 0 where it never fits."""
    smallest = min(spatial)
    return next(
        (scale for scale in range(len(SCALE_WEIGHTS)) if smallest >> scale < window_size), len(SCALE_WEIGHTS)
    )


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _multi_scale(first: Array, second: Array, data_range: float, window_size: int, count: int) -> Array:
    product = jnp.ones(len(first))
    for scale, weight in enumerate(_exponents(count)):
        whole, contrast = _similarity(first, second, data_range, window_size)
        product *= jnp.maximum(whole if scale == count - 1 else contrast, 0.0) ** weight
        if scale < count - 1:
            first, second = _halve(first), _halve(second)
    return product


@functools.partial(jax.jit, static_argnums=(2, 3))
def _similarity(x: Array, y: Array, data_range: float, window_size: int) -> tuple[Array, Array]:
    """Mean over sites and channels of the whole measure, and of contrast and structure alone."""
    x, y = x.astype(jnp.float32), y.astype(jnp.float32)
    # Variances are differences of large numbers: removing one offset leaves them the same and keeps digits.
    offset = jnp.mean(y, axis=tuple(range(1, y.ndim)), keepdims=True)
    offset = jnp.broadcast_to(offset, y.shape)
    u, v = x - offset, y - offset
    moments = _blur(jnp.concatenate([u, v, u * u, v * v, u * v], axis=0), window_size)
    mean_u, mean_v, uu, vv, uv = jnp.split(moments, 5)
    place = offset[tuple(slice(0, size) for size in mean_u.shape)]
    contrast = _contrast(uu - mean_u**2, vv - mean_v**2, uv - mean_u * mean_v, data_range)
    luminance = _luminance(mean_u + place, mean_v + place, data_range)
    axes = tuple(range(1, x.ndim))
    return (luminance * contrast).mean(axis=axes), contrast.mean(axis=axes)


def _luminance(mean_x: Array, mean_y: Array, data_range: float) -> Array:
    c1 = (_K1 * data_range) ** 2
    return (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)


def _contrast(variance_x: Array, variance_y: Array, covariance: Array, data_range: float) -> Array:
    """Contrast and structure."""
    c2 = (_K2 * data_range) ** 2
    return (2 * covariance + c2) / (variance_x + variance_y + c2)


def _exponents(count: int) -> np.ndarray:
    """Of the first scales, scaled to sum to 1."""
    return np.array(SCALE_WEIGHTS[:count]) / sum(SCALE_WEIGHTS[:count])


def _blur(x: Array, window_size: int) -> Array:
    """Gaussian window along every spatial axis, where it fits: a sum of shifted copies."""
    positions = np.arange(window_size) - (window_size - 1) / 2
    weights = np.exp(-0.5 * (positions / (_SIGMA_OF_WINDOW * window_size)) ** 2)
    weights /= weights.sum()
    for axis in range(1, x.ndim - 1):
        size = x.shape[axis] - window_size + 1
        parts = (
            float(weight) * jax.lax.slice_in_dim(x, start, start + size, axis=axis)
            for start, weight in enumerate(weights)
        )
        x = sum(parts, start=jnp.zeros((), x.dtype))
    return x


def _halve(x: Array) -> Array:
    num_spatial = x.ndim - 2
    window = (1, *(2,) * num_spatial, 1)
    total = jax.lax.reduce_window(x, jnp.zeros((), x.dtype), jax.lax.add, window, window, "VALID")
    return total / math.prod(window)


def _check(first: Array, second: Array, data_range: float, window_size: int) -> None:
    if first.shape != second.shape or first.ndim not in (4, 5):
        raise ValueError(
            f"shapes {first.shape} and {second.shape}; wanted equal ones, (batch, *spatial, channels)"
        )
    if window_size < 1 or window_size % 2 == 0 or data_range <= 0:
        raise ValueError(f"window of {window_size}, range of {data_range}; wanted an odd one and more than 0")
    if min(first.shape[1:-1]) < window_size:
        raise ValueError(f"a window of {window_size} does not fit into images of {first.shape[1:-1]}")
