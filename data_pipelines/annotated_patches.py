"""Cubes around annotated voxels of sparsely annotated volumes."""

from collections.abc import Sequence

import numpy as np

from data_pipelines import patch_geometry


def list_annotated(labels: Sequence[np.ndarray], unknown: int) -> list[np.ndarray]:
    """Flat indices of the annotated voxels of every volume; `unknown` is the label of the others."""
    return [np.flatnonzero(label.ravel() != unknown) for label in labels]


def draw_patch(
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    annotated: Sequence[np.ndarray],
    size: int,
    unknown: int,
    generator: np.random.Generator,
) -> tuple[int, np.ndarray, np.ndarray]:
    """Cuts a cube at a random place that holds a random annotated voxel, within its volume where it fits.

    Args:
        images: (depth, height, width) volumes.
        labels: their labels.
        annotated: from `list_annotated`.
        size: voxels along the sides.
        unknown: label beyond the volume, where the image has 0.
        generator: of this patch.

    Returns:
        The volume's number, the image and the label of the cube.
    """
    ends = np.cumsum([len(one) for one in annotated])
    place = int(generator.integers(ends[-1]))
    number = int(np.searchsorted(ends, place, side="right"))
    label = labels[number]
    voxel = np.unravel_index(annotated[number][place - ends[number]], label.shape)
    room = np.array(label.shape) - size
    start = np.array(voxel) - generator.integers(0, size, 3)
    start = np.where(room >= 0, np.clip(start, 0, np.maximum(room, 0)), room // 2).tolist()
    cube = (size,) * 3
    return (
        number,
        patch_geometry.take_patch(images[number], start, cube, 0),
        patch_geometry.take_patch(label, start, cube, unknown),
    )
