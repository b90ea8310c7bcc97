"""Cubes around annotated voxels of sparsely annotated volumes."""

from collections.abc import Sequence

import numpy as np

from data_pipelines import patch_geometry


class AnnotatedPatches:
    """Cubes at random places that hold a random annotated voxel, within their volume where they fit.

    Args:
        images: (depth, height, width) volumes.
        labels: their labels; of the voxels that are annotated one is as likely as another.
        spacings: of their voxels, (3,).
        size: voxels along the sides of a cube.
        unknown: label of what is not annotated, and of what lies beyond the volume, where the image has 0.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        labels: Sequence[np.ndarray],
        spacings: Sequence[np.ndarray],
        size: int,
        unknown: int,
    ):
        self._images, self._labels, self._spacings = images, labels, spacings
        self._size, self._unknown = size, unknown
        self._annotated = [np.flatnonzero(label.ravel() != unknown) for label in labels]
        self._ends = np.cumsum([len(one) for one in self._annotated])

    def load(self, index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Draws `image` and `label` of a cube, and gives the `spacing`, for `pipeline.make_batches`."""
        place = int(generator.integers(self._ends[-1]))
        number = int(np.searchsorted(self._ends, place, side="right"))
        label = self._labels[number]
        voxel = np.unravel_index(self._annotated[number][place - self._ends[number]], label.shape)
        room = np.array(label.shape) - self._size
        start = np.array(voxel) - generator.integers(0, self._size, 3)
        start = np.where(room >= 0, np.clip(start, 0, np.maximum(room, 0)), room // 2).tolist()
        cube = (self._size,) * 3
        return {
            "image": patch_geometry.take_patch(self._images[number], start, cube, 0),
            "label": patch_geometry.take_patch(label, start, cube, self._unknown),
            "spacing": self._spacings[number],
        }
