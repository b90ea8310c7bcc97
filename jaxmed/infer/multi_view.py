"""Two-dimensional networks on volumes along planes of several orientations, fused."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from jaxmed.infer.spread import Spread
from jaxmed.ops import oblique
from jaxmed.types import PyTree

Function = Callable[[PyTree, jax.Array], jax.Array]


def make_multi_view(
    function: Function,
    variables: PyTree,
    rotations: np.ndarray,
    batch_size: int,
    *,
    pixel_mm: float | None = None,
    multiple: int = 1,
) -> Callable[[np.ndarray, Sequence[float] | np.ndarray], np.ndarray]:
    """Turns a function of slices into one of volumes: mean over views of slice-wise outputs, turned back.

    For each view the volume is resampled trilinearly on a grid of cubic voxels of `pixel_mm` whose axes are
    the rows of the view's rotation, 0 outside; the function is applied to the grid's slices along its first
    axis; its outputs are interpolated trilinearly at the voxels of the volume. The mean over the views
    follows, so that every voxel is predicted by exactly as many planes as there are views.

    The grid is large enough for any rotation, so that all views of volumes of one shape and spacing share one
    compilation; slices that do not touch the volume are not computed. Sampling and function run on all
    devices of the variables, plane by plane.

    Args:
        function: `(variables, slices) -> outputs`, pure and jittable, from float32 (batch, size, size) to
            (batch, size, size, ...), slice by slice. The same object makes the compilation be shared.
        variables: see `spread.Spread`.
        rotations: (views, 3, 3), rows: direction of a view's slices, their height, their width
            (`oblique.draw_rotations`).
        batch_size: slices at a time over all devices.
        pixel_mm: pixel size of the slices; by default the finest spacing of each volume.
        multiple: the slices' size is rounded up to a multiple of this, such as the stride of the network's
            bottom.

    Returns:
        A function of a volume (depth, height, width) and its spacing in mm that gives float32
        (depth, height, width, ...). It raises ValueError if the volume is not one.

    Raises:
        ValueError: if there is no view, or `pixel_mm` is not positive.

    Reference: Laprade et al., How Few Annotations are Needed for Segmentation Using a Multi-planar U-Net?,
    section 2. differs: there is no threshold here.
    """
    if rotations.ndim != 3 or rotations.shape[1:] != (3, 3) or not len(rotations):
        raise ValueError(f"rotations: shape {rotations.shape}; wanted (views, 3, 3), one view or more")
    if pixel_mm is not None and pixel_mm <= 0:
        raise ValueError(f"pixel_mm: {pixel_mm}; wanted a positive size")

    def apply(volume: np.ndarray, spacing_mm: Sequence[float] | np.ndarray) -> np.ndarray:
        if volume.ndim != 3 or not volume.size or len(spacing_mm) != 3:
            raise ValueError(
                f"volume of shape {volume.shape} with spacing {tuple(spacing_mm)}; wanted three axes"
            )
        extent_mm = np.array(volume.shape) * np.array(spacing_mm)
        pixel = float(min(spacing_mm)) if pixel_mm is None else pixel_mm
        size = _grid_size(extent_mm, pixel, multiple)
        geometry = np.array([*spacing_mm, pixel], np.float32)
        views = [
            _predict_view(
                function, variables, rotation.astype(np.float32), volume, geometry, size, batch_size
            )
            for rotation in rotations
        ]
        return np.mean(views, axis=0)

    return apply


def _grid_size(extent_mm: np.ndarray, pixel_mm: float, multiple: int) -> int:
    """Side of a cube of voxels that holds the volume however it is turned."""
    return math.ceil(math.ceil(np.linalg.norm(extent_mm) / pixel_mm) / multiple) * multiple


def _predict_view(
    function: Function,
    variables: PyTree,
    rotation: np.ndarray,
    volume: np.ndarray,
    geometry: np.ndarray,
    size: int,
    batch_size: int,
) -> Float32[np.ndarray, "depth height width ..."]:
    constants = {"rotation": rotation, "geometry": geometry}
    forth = {"network": variables, "volume": np.asarray(volume, np.float32), **constants}
    first, last = _touched(volume.shape, rotation, geometry, size)
    spread = Spread(_slice_function(function, size), forth, batch_size)
    slices = list(spread(_batches(first, last, spread.batch_size)))
    turned = np.zeros((size, *slices[0].shape[1:]), np.float32)
    turned[first:last] = np.concatenate(slices)
    back = {"turned": turned, **constants}
    spread = Spread(_back_function(volume.shape), jax.device_put(back, _device_of(variables)), batch_size)
    return np.concatenate(list(spread(_batches(0, len(volume), spread.batch_size))))


def _device_of(variables: PyTree):
    """Where small arrays go so that `Spread` finds the mesh of the variables."""
    leaves = [leaf for leaf in jax.tree.leaves(variables) if isinstance(leaf, jax.Array)]
    return leaves[0].sharding if leaves else None


def _touched(shape: Sequence[int], rotation: np.ndarray, geometry: np.ndarray, size: int) -> tuple[int, int]:
    """The slices that can hold a voxel of the volume or stand beside one that does."""
    half_mm = np.abs(rotation[0]) @ (np.array(shape) * geometry[:3]) / 2
    reach = half_mm / geometry[3] + 1
    centre = (size - 1) / 2
    return max(0, math.floor(centre - reach)), min(size, math.ceil(centre + reach) + 1)


def _batches(first: int, last: int, batch_size: int) -> Iterator[np.ndarray]:
    for start in range(first, last, batch_size):
        yield np.arange(start, min(start + batch_size, last), dtype=np.int32)


@functools.lru_cache(maxsize=16)
def _slice_function(function: Function, size: int) -> Function:
    """`function` on the slices with these numbers."""

    def apply(variables: PyTree, numbers: jax.Array) -> jax.Array:
        volume, rotation, geometry = (variables[name] for name in ("volume", "rotation", "geometry"))

        def cut(number: jax.Array) -> jax.Array:
            offset_mm = (number - (size - 1) / 2) * geometry[3]
            points = oblique.plane_points(rotation, offset_mm * rotation[0], (size, size), geometry[3])
            return oblique.sample_linear(volume, oblique.to_voxels(points, volume.shape, geometry[:3]))

        return function(variables["network"], jax.vmap(cut)(numbers))

    return apply


@functools.lru_cache(maxsize=16)
def _back_function(shape: tuple[int, int, int]) -> Function:
    """Outputs on the turned grid, at the voxels of the slices of a volume with these numbers."""

    def apply(variables: PyTree, numbers: jax.Array) -> jax.Array:
        turned, rotation, geometry = (variables[name] for name in ("turned", "rotation", "geometry"))
        size = turned.shape[:3]

        def cut(number: jax.Array) -> jax.Array:
            rows, columns = jnp.meshgrid(jnp.arange(shape[1]), jnp.arange(shape[2]), indexing="ij")
            voxels = jnp.stack([jnp.full(rows.shape, number), rows, columns], axis=-1)
            points = oblique.turn_points(oblique.to_mm(voxels, shape, geometry[:3]), rotation.T)
            return oblique.sample_linear(turned, oblique.to_voxels(points, size, jnp.full(3, geometry[3])))

        return jax.vmap(cut)(numbers)

    return apply
