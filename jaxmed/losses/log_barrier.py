"""The extended logarithmic barrier of inequality constraints z <= 0."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def log_barrier(z: Float[Array, "*shape"], t: Float[Array, ""] | float) -> Float[Array, "*shape"]:
    """Extended log-barrier: finite, convex and increasing everywhere, unlike the barrier itself.

    psi_t(z) = -log(-z) / t for z <= -1 / t^2, and beyond that its tangent, t z + 2 log(t) / t + 1 / t, of
    slope t. Value and slope are continuous. For t to infinity it tends to 0 where z < 0 and to infinity where
    z > 0: the constraint itself. Below z = -1 it is negative.

    Args:
        z: what should be at most 0.
        t: sharpness, positive; raised during training.

    Returns:
        The barrier, element by element, in the shape of `z`.

    Reference: Kervadec et al., Constrained deep networks: Lagrangian optimization via log-barrier extensions,
    2019.
    """
    t = jnp.asarray(t, z.dtype)
    join = -1 / t**2
    inside = -jnp.log(-jnp.minimum(z, join)) / t
    return jnp.where(z <= join, inside, t * z + (2 * jnp.log(t) + 1) / t)
