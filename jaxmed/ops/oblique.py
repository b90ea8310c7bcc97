"""Sampling volumes on grids of any orientation, in mm about the volume's centre.

A volume (depth, height, width, ...) with a spacing in mm lies with its centre at the origin; voxel i along
an axis of n voxels has its centre at (i - (n - 1) / 2) spacing and reaches half a spacing to both sides.
Grids are given in mm, so that a volume of anisotropic voxels is cut by isotropic planes.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.scipy import ndimage
from jaxtyping import Array, Bool, Float, Key, Num, Shaped

from jaxmed.ops.example_keys import example_keys


def draw_rotations(key: Key[Array, ""], count: int) -> Float[Array, "count 3 3"]:
    """Draws rotations uniformly, from unit quaternions: every direction of an axis is equally likely.

    Args:
        key: of the draw.
        count: how many; each depends on the key and on its number alone.

    Returns:
        Orthonormal matrices with determinant 1.
    """

    def draw(key: jax.Array) -> jax.Array:
        w, x, y, z = (quaternion := jax.random.normal(key, (4,))) / jnp.linalg.norm(quaternion)
        return jnp.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )

    return jax.vmap(draw)(example_keys(key, count))


def grid_points(shape: Sequence[int], pixel_mm: float | Float[Array, ""]) -> Float[Array, "*shape axes"]:
    """The points of a grid of square pixels or cubic voxels about the origin, in mm.

    Args:
        shape: of the grid.
        pixel_mm: distance of neighbours.

    Returns:
        (*shape, number of axes).
    """
    along = [(jnp.arange(size) - (size - 1) / 2) * pixel_mm for size in shape]
    return jnp.stack(jnp.meshgrid(*along, indexing="ij"), axis=-1)


def plane_points(
    rotation: Float[Array, "3 3"],
    centre_mm: Float[Array, " 3"],
    shape: tuple[int, int],
    pixel_mm: float | Float[Array, ""],
) -> Float[Array, "height width 3"]:
    """The points of an oblique plane in mm.

    Args:
        rotation: its rows are the plane's normal and the directions of its height and its width.
        centre_mm: where its centre lies.
        shape: height and width in pixels.
        pixel_mm: size of its pixels.

    Returns:
        (height, width, 3), in the order depth, height, width of the volume.
    """
    return turn_points(grid_points(shape, pixel_mm), rotation[1:]) + _spread(centre_mm, (*shape, 3))


def turn_points(
    points: Float[Array, "*points axes"], matrix: Float[Array, "axes ..."]
) -> Float[Array, "..."]:
    """Row vectors times a matrix, in full float32 precision on every device.

    Args:
        points: (*points, axes).
        matrix: (axes, turned), or one vector (axes,).

    Returns:
        (*points, turned), or (*points,).
    """
    return jnp.tensordot(points, matrix, 1, precision="highest")


def to_voxels(
    points_mm: Float[Array, "*points 3"],
    shape: Sequence[int],
    spacing_mm: Sequence[float] | Float[Array, " 3"],
) -> Float[Array, "*points 3"]:
    """Brings points in mm about a volume's centre to its voxel coordinates, 0 at the first voxel's centre.

    Args:
        points_mm: (*points, 3).
        shape: of the volume.
        spacing_mm: of its voxels.

    Returns:
        (*points, 3).
    """
    centre = (jnp.asarray(shape, jnp.float32) - 1) / 2
    return points_mm / _spread(spacing_mm, points_mm.shape) + _spread(centre, points_mm.shape)


def to_mm(
    voxels: Num[Array, "*points 3"], shape: Sequence[int], spacing_mm: Sequence[float] | Float[Array, " 3"]
) -> Float[Array, "*points 3"]:
    """The inverse of `to_voxels`.

    Args:
        voxels: (*points, 3) voxel coordinates.
        shape: of the volume.
        spacing_mm: of its voxels.

    Returns:
        (*points, 3) in mm about the volume's centre.
    """
    centre = (jnp.asarray(shape, jnp.float32) - 1) / 2
    return (voxels - _spread(centre, voxels.shape)) * _spread(spacing_mm, voxels.shape)


def is_inside(voxels: Float[Array, "*points 3"], shape: Sequence[int]) -> Bool[Array, "*points"]:
    """Whether points in voxel coordinates lie in a volume, the outer half of its border voxels included."""
    end = jnp.asarray(shape, jnp.float32) - 0.5
    return ((voxels >= -0.5) & (voxels < _spread(end, voxels.shape))).all(axis=-1)


def sample_linear(
    volume: Num[Array, "depth height width *channels"],
    voxels: Float[Array, "*points 3"],
    *,
    fill: float | int = 0,
) -> Float[Array, "..."]:
    """Interpolates a volume trilinearly; in the outer half of border voxels their values continue.

    Args:
        volume: (depth, height, width) or (depth, height, width, channels).
        voxels: where, in voxel coordinates (`to_voxels`).
        fill: value outside.

    Returns:
        (*points, *channels) float32.
    """
    places, shape = list(jnp.moveaxis(voxels, -1, 0)), volume.shape[:3]

    def sample(one: jax.Array) -> jax.Array:
        values = ndimage.map_coordinates(one.astype(jnp.float32), places, 1, mode="nearest")
        return jnp.where(is_inside(voxels, shape), values, fill)

    return sample(volume) if volume.ndim == 3 else jax.vmap(sample, in_axes=-1, out_axes=-1)(volume)


def sample_nearest(
    volume: Shaped[Array, "depth height width *channels"],
    voxels: Float[Array, "*points 3"],
    *,
    fill: float | int = 0,
) -> Shaped[Array, "..."]:
    """Takes the voxel in which each point lies; labels stay labels.

    Args:
        volume: (depth, height, width) or with channels, of any dtype.
        voxels: where, in voxel coordinates (`to_voxels`).
        fill: value outside, of the volume's dtype.

    Returns:
        (*points, *channels) of the volume's dtype.
    """
    nearest = jnp.floor(voxels + 0.5).astype(jnp.int32)
    index = tuple(jnp.clip(nearest[..., axis], 0, volume.shape[axis] - 1) for axis in range(3))
    values = volume[index]
    inside = is_inside(voxels, volume.shape[:3]).reshape(voxels.shape[:-1] + (1,) * (volume.ndim - 3))
    return jnp.where(inside, values, jnp.asarray(fill, volume.dtype))


def voxel_distance(
    points_mm: Float[Array, "*points 3"],
    normals: Float[Array, "planes 3"],
    offsets_mm: Float[Array, " planes"],
    spacing_mm: Sequence[float] | Float[Array, " 3"],
) -> Float[Array, "*points"]:
    """Distance to the nearest of several planes, in voxels: 0.5 bounds a layer one voxel thick.

    |n . p - d| / |n spacing| for the plane n . p = d: the distance after the space has been scaled to unit
    voxels.

    Args:
        points_mm: (*points, 3).
        normals: (planes, 3) unit vectors.
        offsets_mm: (planes,).
        spacing_mm: of the voxels.

    Returns:
        (*points,); infinite where there is no plane.
    """
    thickness = jnp.linalg.norm(normals * _spread(spacing_mm, normals.shape), axis=-1)

    def closer(best: jax.Array, plane: tuple) -> tuple[jax.Array, None]:
        normal, offset, thick = plane
        return jnp.minimum(best, jnp.abs(turn_points(points_mm, normal) - offset) / thick), None

    start = jnp.full(points_mm.shape[:-1], jnp.inf)
    return jax.lax.scan(closer, start, (normals, offsets_mm, thickness))[0]


def _spread(vector: Sequence[float] | jax.Array, shape: Sequence[int]) -> jax.Array:
    return jnp.broadcast_to(jnp.asarray(vector, jnp.float32), shape)
