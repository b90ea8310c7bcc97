"""Stored values brought to what every reader gives: finite float32."""

from pathlib import Path

import numpy as np

from data_pipelines.readers.errors import ReadError


def to_finite_float32(values: np.ndarray, path: Path, replace_nonfinite: bool) -> np.ndarray:
    """Converts real values to float32 and refuses, or replaces, what is not finite.

    Args:
        values: any shape; what float32 cannot hold counts as infinite.
        path: their file, for the message.
        replace_nonfinite: gives NaN and infinite voxels the smallest finite value of the volume.

    Returns:
        float32 array of the same shape; `values` itself where nothing had to change.

    Raises:
        ReadError: a voxel that is not finite, unless replaced, or no finite voxel at all.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        image = values.astype(np.float32, copy=False)
    finite = np.isfinite(image)
    if finite.all():
        return image
    if not replace_nonfinite or not finite.any():
        raise ReadError(
            path,
            f"{image.size - np.count_nonzero(finite)} of {image.size} voxels NaN or infinite",
            "finite voxels" + (" (or replace_nonfinite)" if finite.any() else ""),
        )
    return np.where(finite, image, image[finite].min())
