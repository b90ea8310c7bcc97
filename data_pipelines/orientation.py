"""Bringing volumes of any orientation to the canonical one, and back."""

import nibabel.orientations as orientations
import numpy as np

CANONICAL_AXES = "SPL"
"""Where depth, height and width run to: superior, posterior, left."""


def axis_codes(affine: np.ndarray) -> str:
    """Letters of the anatomical directions that the voxel axes run to, such as "RAS" or "SPL".

    Args:
        affine: (4, 4) matrix from voxel indices to RAS world coordinates in mm. Oblique axes take the
            letter of the nearest anatomical direction.

    Returns:
        One letter of R, L, A, P, S, I per axis.
    """
    return "".join(orientations.ornt2axcodes(orientations.io_orientation(affine)))


def voxel_sizes(affine: np.ndarray) -> tuple[float, ...]:
    """Distance of neighbouring voxels along each axis in mm: the norms of the affine's columns.

    Args:
        affine: (4, 4) matrix from voxel indices to world coordinates in mm.

    Returns:
        Three distances in mm, in the axis order of the array.
    """
    return tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))


def to_canonical(volume: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Permutes and flips the axes to (depth, height, width) = superior, posterior, left.

    No voxel is interpolated: oblique volumes stay oblique, along their nearest anatomical directions.

    Args:
        volume: three-dimensional array in the axis order of its file.
        affine: (4, 4) matrix from its voxel indices to RAS world coordinates in mm.

    Returns:
        The volume as a contiguous (depth, height, width) array, and the affine of the new indices, which
        gives each voxel the world coordinates it had.
    """
    transform = _transform(axis_codes(affine), CANONICAL_AXES)
    canonical = np.ascontiguousarray(orientations.apply_orientation(volume, transform))
    return canonical, canonical_grid(volume.shape, affine)[1]


def canonical_grid(shape: tuple[int, ...], affine: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine that `to_canonical` gives a volume.

    Args:
        shape: voxels along each axis of the file.
        affine: (4, 4) matrix from the file's voxel indices to RAS world coordinates in mm.

    Returns:
        The shape as (depth, height, width), and the affine of the new indices.
    """
    transform = _transform(axis_codes(affine), CANONICAL_AXES)
    canonical_shape = tuple(shape[axis] for axis in np.argsort(transform[:, 0]))
    return canonical_shape, affine @ orientations.inv_ornt_aff(transform, shape)


def from_canonical(volume: np.ndarray, source_affine: np.ndarray) -> np.ndarray:
    """Inverse of `to_canonical`: the volume in the axis order of the file it came from.

    Args:
        volume: (depth, height, width) array in the canonical orientation.
        source_affine: (4, 4) affine of the file before `to_canonical`.

    Returns:
        A contiguous array in the axis order of the file.
    """
    transform = _transform(CANONICAL_AXES, axis_codes(source_affine))
    return np.ascontiguousarray(orientations.apply_orientation(volume, transform))


def _transform(start: str, end: str) -> np.ndarray:
    return orientations.ornt_transform(orientations.axcodes2ornt(start), orientations.axcodes2ornt(end))
