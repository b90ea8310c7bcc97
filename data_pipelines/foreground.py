"""The labelled voxels of a volume as lists, so that one can be drawn without searching the volume."""

from collections.abc import Mapping

import numpy as np

VOXELS, COUNTS = "foreground_voxels", "foreground_counts"


def list_voxels(label: np.ndarray, num_classes: int) -> dict[str, np.ndarray]:
    """Lists the voxels of every class but 0: made once, when a volume is prepared, and kept beside it.

    Args:
        label: whole numbers, spatial axes only.
        num_classes: classes are 0 (background) to num_classes - 1; other labels, such as one for voxels to
            be ignored, are no foreground.

    Returns:
        `foreground_voxels`, flat indices in C order, class after class, ascending; int32 where the volume has
        less than 2^31 voxels, else int64. `foreground_counts`, (num_classes,) int64, how many of each class.

    Raises:
        ValueError: there is no class but 0.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}; wanted at least 2")
    flat = np.ravel(label)
    dtype = np.int32 if flat.size <= np.iinfo(np.int32).max else np.int64
    voxels = [np.flatnonzero(flat == number).astype(dtype) for number in range(1, num_classes)]
    return {VOXELS: np.concatenate(voxels), COUNTS: np.array([0, *map(len, voxels)], np.int64)}


def draw_voxel(
    arrays: Mapping[str, np.ndarray], shape: tuple[int, ...], generator: np.random.Generator
) -> tuple[int, ...] | None:
    """Draws one of the classes that the volume has, each as likely, then one of its voxels, each as likely.

    Args:
        arrays: as `list_voxels` gave them.
        shape: of the volume.
        generator: source of both draws.

    Returns:
        The indices of the voxel, or None where the volume has no foreground.
    """
    ends = np.cumsum(arrays[COUNTS])
    present = np.flatnonzero(arrays[COUNTS])
    if present.size == 0:
        return None
    chosen = present[generator.integers(present.size)]
    place = generator.integers(ends[chosen] - arrays[COUNTS][chosen], ends[chosen])
    return tuple(int(index) for index in np.unravel_index(int(arrays[VOXELS][place]), shape))
