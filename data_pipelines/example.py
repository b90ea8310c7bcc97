"""One case of a data set: arrays and geometry, whatever file they came from."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Example:
    """One case; its field names are the keys of the batches.

    Volumes are (depth, height, width): depth towards superior, height towards posterior, width
    towards the patient's left. Images are (height, width) or (height, width, channels).

    Attributes:
        subject: name of the case, free of patient data.
        image: voxels; HU for CT.
        label: integer array of the shape of `image` (without channels), or None.
        spacing_mm: distance of neighbouring voxels along each spatial axis, in mm.
        affine: (4, 4) matrix from voxel indices in array order to RAS world coordinates in mm, or None.
        source_affine: the affine of the file before reorientation, or None where there was no file.
        source_shape: the voxel shape of the file before reorientation (x, y, z order of its format).
    """

    subject: str
    image: np.ndarray
    label: np.ndarray | None = None
    spacing_mm: tuple[float, ...] = ()
    affine: np.ndarray | None = None
    source_affine: np.ndarray | None = None
    source_shape: tuple[int, ...] = ()
