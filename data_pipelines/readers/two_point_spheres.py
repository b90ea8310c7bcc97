"""Lesions annotated as spheres by two points each: the middle of the neck, and the dome."""

from pathlib import Path

import numpy as np

from data_pipelines.example import Example
from data_pipelines.readers import slicer_points
from data_pipelines.readers.errors import ReadError
from data_pipelines.two_point_spheres import pair_points


def read_spheres(path: Path, example: Example) -> np.ndarray:
    """Reads the spheres of a volume from a file of 3D Slicer (`slicer_points`): neck, dome, neck, dome, ...

    Args:
        path: .fcsv or .mrk.json.
        example: the volume with its affine, on any grid.

    Returns:
        (n, 4) float32: centres in voxels along depth, height and width of the example, and radii in mm.

    Raises:
        ReadError: see `slicer_points.read_points` and `pair_points`; a point outside the volume.
    """
    points = slicer_points.read_points(path).ras_mm
    try:
        spheres = pair_points(points)
    except ValueError as error:
        found, _, wanted = str(error).removeprefix("found ").partition("; wanted ")
        raise ReadError(path, found, wanted) from error
    voxels = _to_voxels(points, example)
    shape = np.array(example.image.shape)
    outside = ((voxels < -0.5) | (voxels > shape - 0.5)).any(axis=1)
    if outside.any():
        number = int(np.argmax(outside)) + 1
        place = ", ".join(f"{mm:.1f}" for mm in points[number - 1])
        raise ReadError(path, f"point {number} at ({place}) mm RAS outside {example.subject}", "points in it")
    centres = _to_voxels(spheres[:, :3], example)
    return np.concatenate([centres, spheres[:, 3:]], axis=1).astype(np.float32)


def _to_voxels(ras_mm: np.ndarray, example: Example) -> np.ndarray:
    if example.affine is None:
        raise ValueError(f"{example.subject}: found no affine; wanted one to place the points")
    homogeneous = np.concatenate([ras_mm, np.ones((len(ras_mm), 1))], axis=1)
    return (homogeneous @ np.linalg.inv(example.affine).T)[:, :3]
