"""Squared Euclidean distances without the array of all differences."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def squared_distances(
    points: Float[Array, "points features"], centres: Float[Array, "centres features"]
) -> Float[Array, "points centres"]:
    """|x|^2 + |c|^2 - 2 x.c, not below 0; off by rounding relative to the squared norms."""
    square_points = jnp.sum(jnp.square(points), axis=-1)
    square_centres = jnp.sum(jnp.square(centres), axis=-1)
    return jnp.maximum(square_points[:, None] + square_centres[None] - 2 * (points @ centres.T), 0)
