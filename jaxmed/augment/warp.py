"""Random rotation, shift and smooth distortion of patches of volumes, resampled once.

    draw = warp.draw_warp(key, batch_size, max_degrees=180.0, max_shift=25.0, max_distortion=10.0)
    positions = warp.warp_positions(draw, (48, 48, 48))
    patches = warp.sample(contexts, positions)

`contexts` are boxes about the centres of the patches that reach as far as the draw may: `context_size` says
how far. An example's draw depends on the key and on its position in the global batch alone. All lengths are
in voxels, which are taken to be cubes.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import ndimage
from jaxtyping import Array, Float, Key, Num

from jaxmed.ops import collectives, cubic_spline
from jaxmed.ops.example_keys import example_keys

_KNOTS = 3
"""Control points along each axis of the lattice."""


class WarpDraw(NamedTuple):
    """Where each example's patch takes its voxels from.

    The voxel of the patch at offset o from its centre shows the volume at rotation (o + u(o)) + shift from
    the centre; u is the spline through `displacement` at the knots of a lattice that encloses the patch.

    Attributes:
        rotation: (batch, 3, 3), on (depth, height, width) offsets.
        shift: (batch, 3).
        displacement: (batch, 3, 3, 3, 3): the lattice's knots, then the components.
    """

    rotation: Float[Array, "batch 3 3"]
    shift: Float[Array, "batch 3"]
    displacement: Float[Array, "batch 3 3 3 3"]


def draw_warp(
    key: Key[Array, ""],
    batch_size: int,
    *,
    max_degrees: float,
    max_shift: float,
    max_distortion: float,
) -> WarpDraw:
    """Draws a rotation about each axis, a shift along each axis, and a displacement of each control point.

    All are uniform and independent: angles in [0, max_degrees], about width, then height, then depth; shifts
    in [-max_shift, max_shift]; displacements of all knots but the central one likewise.

    Args:
        key: of the step.
        batch_size: number of examples that the caller holds.
        max_degrees: largest angle about each axis.
        max_shift: largest shift along each axis.
        max_distortion: largest displacement of a control point along each axis.

    Returns:
        The draw of every example.

    Reference: Assis et al., An Efficient Data Strategy for the Detection of Brain Aneurysms from MRA, section
    2.3, which leaves the distributions open.
    """
    centre = np.ones((_KNOTS,) * 3 + (1,), np.float32)
    centre[1, 1, 1] = 0

    def draw(key: jax.Array) -> WarpDraw:
        turn_key, shift_key, lattice_key = jax.random.split(key, 3)
        angles = jax.random.uniform(turn_key, (3,), maxval=math.radians(max_degrees))
        shift = jax.random.uniform(shift_key, (3,), minval=-max_shift, maxval=max_shift)
        knots = jax.random.uniform(
            lattice_key, (_KNOTS, _KNOTS, _KNOTS, 3), minval=-max_distortion, maxval=max_distortion
        )
        return WarpDraw(_rotation(angles), shift, knots * centre)

    return jax.vmap(draw)(example_keys(key, batch_size))


def warp_positions(draw: WarpDraw, size: Sequence[int]) -> Float[Array, "batch depth height width 3"]:
    """Where the voxels of the patches lie, in voxels from the centre, along depth, height and width.

    The lattice's outer knots lie on the faces of the patch; between the knots runs the interpolating cubic
    spline of `cubic_spline.spline_matrix`.

    Args:
        draw: from `draw_warp`.
        size: (depth, height, width) of the patches, in voxels.

    Returns:
        (batch, *size, 3).
    """
    weights = [jnp.asarray(_face_to_face(n), jnp.float32) for n in size]
    bend = jnp.einsum("nijkc,zi,yj,xk->nzyxc", draw.displacement, *weights, precision="highest")
    axes = [np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2) for n in size]
    offsets = jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    turned = jnp.einsum("nab,nzyxb->nzyxa", draw.rotation, offsets[None] + bend, precision="highest")
    return turned + draw.shift[:, None, None, None]


def sample(
    volumes: Num[Array, "batch depth height width"], positions: Float[Array, "batch out_d out_h out_w 3"]
) -> Float[Array, "batch out_d out_h out_w"]:
    """Interpolates volumes linearly at positions from their centres; beyond them the border continues.

    Args:
        volumes: of any number type.
        positions: in voxels from the centre of each volume, as `warp_positions` gives them.

    Returns:
        float32 values.
    """
    centre = np.array([(n - 1) / 2 for n in volumes.shape[1:]], np.float32).reshape(3, 1, 1, 1)

    def one(volume: jax.Array, at: jax.Array) -> jax.Array:
        places = list(jnp.moveaxis(at, -1, 0) + centre)
        return ndimage.map_coordinates(volume.astype(jnp.float32), places, 1, mode="nearest")

    return jax.vmap(one)(collectives.collect_depth(volumes), positions)


def context_size(
    size: Sequence[int], *, max_degrees: float, max_shift: float, max_distortion: float
) -> tuple[int, ...]:
    """Box about a patch's centre that no draw of `draw_warp` can leave.

    Along an axis a voxel moves by at most the largest displacement times the sum of the magnitudes of its
    spline weights, and the farthest voxel may turn to any side.

    Args:
        size: of the patches.
        max_degrees: as in `draw_warp`.
        max_shift: as in `draw_warp`.
        max_distortion: as in `draw_warp`.

    Returns:
        Voxels along each axis, all even or odd as those of the patches.
    """
    weights = [np.abs(_face_to_face(n)).sum(axis=1) for n in size]
    swing = max_distortion * np.einsum("z,y,x->zyx", *weights)
    offsets = np.meshgrid(*(np.abs(np.arange(n) - (n - 1) / 2) for n in size), indexing="ij")
    moved = np.stack(offsets) + swing
    reach = [np.linalg.norm(moved, axis=0).max()] * 3 if max_degrees else moved.max(axis=(1, 2, 3))
    return tuple(n + 2 * math.ceil(far + max_shift - (n - 1) / 2) for n, far in zip(size, reach, strict=True))


def _face_to_face(size: int) -> np.ndarray:
    """Weights of the knots on the faces and the middle of an axis, at its voxels: (size, knots)."""
    return cubic_spline.spline_matrix((np.arange(size) + 0.5) * (_KNOTS - 1) / size, _KNOTS)


def _rotation(angles: jax.Array) -> jax.Array:
    """Product of turns about depth, height and width by the three angles in radians, that of width first."""
    turns = []
    for axis in range(3):
        cos, sin = jnp.cos(angles[axis]), jnp.sin(angles[axis])
        first, second = (other for other in range(3) if other != axis)
        turn = jnp.eye(3).at[first, first].set(cos).at[second, second].set(cos)
        turns.append(turn.at[first, second].set(-sin).at[second, first].set(sin))
    return turns[0] @ turns[1] @ turns[2]
