"""Which points lie in spheres."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def inside_spheres(
    positions: Float[Array, "batch depth height width 3"], spheres: Float[Array, "batch spheres 4"]
) -> Float[Array, "batch depth height width"]:
    """1 where a position lies in a sphere or on it, else 0.

    With warped positions it is a label that is warped exactly, without interpolation.

    Args:
        positions: along depth, height and width.
        spheres: centres and radii in the unit of the positions; a negative radius holds nothing.

    Returns:
        (batch, depth, height, width) float32.
    """
    found = jnp.zeros(positions.shape[:-1], bool)
    for number in range(spheres.shape[1]):
        centre, radius = spheres[:, number, :3], spheres[:, number, 3]
        distance = jnp.linalg.norm(positions - centre[:, None, None, None], axis=-1)
        found |= distance <= radius[:, None, None, None]
    return found.astype(jnp.float32)
