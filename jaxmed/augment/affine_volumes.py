"""Random linear maps of volumes about their centre, in mm: rotation about any axis, scale, flips."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Shaped

from jaxmed.ops import collectives, oblique
from jaxmed.ops.example_keys import example_keys


def draw_linear_maps(
    key: Key[Array, ""],
    batch_size: int,
    *,
    max_degrees: float = 0.0,
    max_scale: float = 1.0,
    flip_probability: float = 0.0,
) -> Float[Array, "batch 3 3"]:
    """Draws maps from the points of the result, as row vectors, to the points of the volume.

    A volume is flipped along each axis, turned about a random axis, then scaled.

    Args:
        key: of the step.
        batch_size: number of examples that the caller holds.
        max_degrees: the angle is uniform in [0, max_degrees]; the axis is uniform on the sphere.
        max_scale: the logarithm of the magnification is uniform between those of 1 / max_scale and max_scale.
        flip_probability: of the flip along each axis.

    Returns:
        The map of every example.
    """

    def draw(key: jax.Array) -> jax.Array:
        axis_key, angle_key, scale_key, flip_key = jax.random.split(key, 4)
        axis = jax.random.normal(axis_key, (3,))
        x, y, z = axis / jnp.linalg.norm(axis)
        angle = jax.random.uniform(angle_key, maxval=jnp.deg2rad(max_degrees))
        cross = jnp.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        squared = jnp.matmul(cross, cross, precision="highest")
        turn = jnp.eye(3) + jnp.sin(angle) * cross + (1 - jnp.cos(angle)) * squared
        log_scale = jax.random.uniform(scale_key, minval=-1.0) * jnp.log(max_scale)
        flips = jax.random.bernoulli(flip_key, flip_probability, (1, 3))
        return turn * jnp.broadcast_to(jnp.where(flips, -1.0, 1.0), (3, 3)) * jnp.exp(log_scale)

    return jax.vmap(draw)(example_keys(key, batch_size))


def apply_linear_maps(
    volumes: Shaped[Array, "batch depth height width"],
    spacing_mm: Float[Array, "batch 3"],
    maps: Float[Array, "batch 3 3"],
    *,
    order: int = 1,
    fill: float | int = 0,
) -> Shaped[Array, "batch depth height width"]:
    """Resamples volumes as drawn, so that a rotation is one in space whatever the voxels' spacing.

    Args:
        volumes: (batch, depth, height, width).
        spacing_mm: of their voxels.
        maps: from `draw_linear_maps`.
        order: 0 takes the nearest voxel and keeps labels, 1 interpolates linearly.
        fill: value of what comes from outside.

    Returns:
        Volumes of the same shape and dtype; float32 for order 1.

    Raises:
        ValueError: another order.
    """
    if order not in (0, 1):
        raise ValueError(f"order: {order}; wanted 0 or 1")
    sample = oblique.sample_linear if order else oblique.sample_nearest
    shape = volumes.shape[1:]
    voxels = jnp.stack(jnp.meshgrid(*map(jnp.arange, shape), indexing="ij"), axis=-1)

    def move(volume: jax.Array, spacing: jax.Array, linear: jax.Array) -> jax.Array:
        points = oblique.turn_points(oblique.to_mm(voxels, shape, spacing), linear)
        return sample(volume, oblique.to_voxels(points, shape, spacing), fill=fill)

    return jax.vmap(move)(collectives.collect_depth(volumes), spacing_mm, maps)
