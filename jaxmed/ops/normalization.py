"""Normalisation in one pass over the data, with statistics in float32 at least.

Mean and variance come from sums of x - c and (x - c)^2, which one loop computes, c being the mean of a part
of the data: var = E[(x - c)^2] - E[x - c]^2 for any c. Without c, a mean of 1000 standard deviations would
leave no digit of a float32 variance. With it, (E[x] - c)^2 is at most n times the variance, n being the
number of planes of which c takes one, so that the subtraction loses at most a factor n in precision, whatever
the data.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def moments(
    x: Float[Array, "*shape"], axes: Sequence[int]
) -> tuple[Float[Array, "*reduced"], Float[Array, "*reduced"]]:
    """Mean and (biased) variance over some axes, kept with size 1.

    Args:
        x: of any shape.
        axes: to average over, each from 0; the last one of them had better not be split over devices.

    Returns:
        Both in float32, or in float64 for such `x`; the variance is not negative.
    """
    axes = tuple(axes)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    plane = lax.slice_in_dim(x, x.shape[axes[-1]] // 2, x.shape[axes[-1]] // 2 + 1, axis=axes[-1])
    centre = lax.stop_gradient(plane.mean(axes, keepdims=True))  # the result does not depend on it
    shifted = x - jnp.broadcast_to(centre, x.shape)
    mean = shifted.mean(axes, keepdims=True)
    variance = (shifted * shifted).mean(axes, keepdims=True) - mean * mean
    return centre + mean, jnp.maximum(variance, 0)


def standardize(
    x: Float[Array, "*shape"],
    mean: Float[Array, "*reduced"],
    variance: Float[Array, "*reduced"],
    *,
    epsilon: float = 1e-5,
) -> Float[Array, "*shape"]:
    """(x - mean) / sqrt(variance + epsilon), in the dtype of the statistics.

    Args:
        x: of any shape.
        mean: of a shape that broadcasts to that of `x`, such as `moments` gives.
        variance: likewise.
        epsilon: keeps constants finite.

    Returns:
        Of the shape of `x`.
    """
    scale = lax.rsqrt(variance + epsilon)
    return (x.astype(mean.dtype) - jnp.broadcast_to(mean, x.shape)) * jnp.broadcast_to(scale, x.shape)


def instance_norm(
    x: Float[Array, "batch *spatial channels"], *, epsilon: float = 1e-5
) -> Float[Array, "batch *spatial channels"]:
    """Standardises every channel of every example over its spatial axes.

    Args:
        x: (batch, *spatial, channels), with one or more spatial axes.
        epsilon: added to the variance.

    Returns:
        As `x`, in the dtype of the statistics (float32 at least).

    Reference: Ulyanov et al., Instance Normalization, equation 2.
    """
    mean, variance = moments(x, range(1, x.ndim - 1))
    return standardize(x, mean, variance, epsilon=epsilon)


def group_norm(
    x: Float[Array, "batch *spatial channels"], num_groups: int, *, epsilon: float = 1e-5
) -> Float[Array, "batch *spatial channels"]:
    """Standardises groups of adjacent channels of every example over them and the spatial axes.

    One group is layer normalisation over an example, as many as channels are instance normalisation. The
    statistics of a group are joined from those of its channels: the mean of means, and the mean of variances
    plus the variance of means.

    Args:
        x: (batch, *spatial, channels), with one or more spatial axes.
        num_groups: a divisor of the number of channels.
        epsilon: added to the variance.

    Returns:
        As `x`, in the dtype of the statistics (float32 at least).

    Raises:
        ValueError: the groups do not divide the channels.

    Reference: Wu and He, Group Normalization, equations 1, 2 and 7.
    """
    if num_groups < 1 or x.shape[-1] % num_groups:
        raise ValueError(f"num_groups: {num_groups}; wanted a divisor of the {x.shape[-1]} channels")
    mean, variance = moments(x, range(1, x.ndim - 1))

    def join(of_channels: jax.Array) -> jax.Array:
        groups = of_channels.reshape(*of_channels.shape[:-1], num_groups, -1)
        joint = groups.mean(-1, keepdims=True)
        return jnp.broadcast_to(joint, groups.shape).reshape(of_channels.shape)

    joint_mean = join(mean)
    return standardize(x, joint_mean, join(variance + (mean - joint_mean) ** 2), epsilon=epsilon)
