"""Normalisation in one pass over the data, with statistics in float32 at least.

Mean and variance come from sums of x - c and (x - c)^2, which one loop computes, c being the mean of a part
of the data: var = E[(x - c)^2] - E[x - c]^2 for any c. Without c, a mean of 1000 standard deviations would
leave no digit of a float32 variance. With it, E[x - c]^2 is at most n times the variance, n being the number
of planes of which c takes one, so that the subtraction loses at most a factor n in precision, whatever the
data. The result is one product and one sum for each element, (x - c) a + b.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class Moments(NamedTuple):
    """Mean and variance of an array over some axes, which have size 1; the mean in two parts.

    Attributes:
        centre: a number near the mean, constant under differentiation.
        offset: the mean minus the centre.
        variance: biased (divided by n), not negative.
    """

    centre: Float[Array, "*reduced"]
    offset: Float[Array, "*reduced"]
    variance: Float[Array, "*reduced"]

    @property
    def mean(self) -> Float[Array, "*reduced"]:
        """The mean, rounded."""
        return self.centre + self.offset


def moments(x: Float[Array, "*shape"], axes: Sequence[int]) -> Moments:
    """Mean and variance over some axes.

    Args:
        x: of any shape.
        axes: to average over, each from 0; the last one of them had better not be split over devices.

    Returns:
        Both in float32, or in float64 for such `x`.
    """
    axes = tuple(axes)
    x = _precise(x)
    middle = x.shape[axes[-1]] // 2
    plane = lax.slice_in_dim(x, middle, middle + 1, axis=axes[-1])
    centre = lax.stop_gradient(plane.mean(axes, keepdims=True))  # the result does not depend on it
    shifted = x - centre
    offset = shifted.mean(axes, keepdims=True)
    variance = (shifted * shifted).mean(axes, keepdims=True) - offset * offset
    return Moments(centre, offset, jnp.maximum(variance, 0))


def standardize(
    x: Float[Array, "*shape"],
    about: Moments,
    *,
    scale: Float[Array, " channels"] | None = None,
    bias: Float[Array, " channels"] | None = None,
    epsilon: float = 1e-5,
) -> Float[Array, "*shape"]:
    """(x - mean) / sqrt(variance + epsilon) scale + bias, in the dtype of the statistics.

    Args:
        x: of any shape, the channels last.
        about: the statistics, of a shape that broadcasts to that of `x`.
        scale: of each channel; 1 if None.
        bias: of each channel; 0 if None.
        epsilon: keeps constants finite.

    Returns:
        Of the shape of `x`.
    """
    factor = lax.rsqrt(about.variance + epsilon)
    ones = (1,) * (x.ndim - 1)
    if scale is not None:
        factor = factor * scale.astype(factor.dtype).reshape(*ones, -1)
    constant = -about.offset * factor
    if bias is not None:
        constant = constant + bias.astype(factor.dtype).reshape(*ones, -1)
    return (_precise(x) - about.centre) * factor + constant


def instance_moments(x: Float[Array, "batch *spatial channels"]) -> Moments:
    """Of every channel of every example over its spatial axes, for instance normalisation.

    Args:
        x: (batch, *spatial, channels), with one or more spatial axes.

    Returns:
        Of shape (batch, 1, ..., 1, channels).

    Reference: Ulyanov et al., Instance Normalization, equation 2.
    """
    return moments(x, range(1, x.ndim - 1))


def group_moments(x: Float[Array, "batch *spatial channels"], num_groups: int) -> Moments:
    """Of groups of adjacent channels of every example, for group normalisation.

    One group is layer normalisation over an example, as many as channels are instance normalisation. The
    statistics of a group are joined from those of its channels: the mean of means, and the mean of variances
    plus the variance of means.

    Args:
        x: (batch, *spatial, channels), with one or more spatial axes.
        num_groups: a divisor of the number of channels.

    Returns:
        Of shape (batch, 1, ..., 1, channels), equal within a group up to how the mean is divided.

    Raises:
        ValueError: the groups do not divide the channels.

    Reference: Wu and He, Group Normalization, equations 1, 2 and 7.
    """
    if num_groups < 1 or x.shape[-1] % num_groups:
        raise ValueError(f"num_groups: {num_groups}; wanted a divisor of the {x.shape[-1]} channels")
    own = instance_moments(x)

    def join(of_channels: jax.Array) -> jax.Array:
        groups = of_channels.reshape(*of_channels.shape[:-1], num_groups, -1)
        joint = groups.mean(-1, keepdims=True)
        return jnp.broadcast_to(joint, groups.shape).reshape(of_channels.shape)

    mean = join(own.mean)
    variance = join(own.variance + (own.mean - mean) ** 2)
    return Moments(own.centre, mean - own.centre, variance)


def _precise(x: jax.Array) -> jax.Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
