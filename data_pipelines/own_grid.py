"""Segmentation on the grid that a network was trained on, and the result on the scan's own grid."""

from collections.abc import Callable

import numpy as np

from data_pipelines import preprocess
from data_pipelines.example import Example


def segment_on_own_grid(
    example: Example,
    segment: Callable[[np.ndarray], np.ndarray],
    *,
    pixel_mm: float,
    min_size: int,
    fill: float,
) -> np.ndarray:
    """Segments a scan whose slices a network wants at another pixel size, and brings the mask back.

    Slices are resampled to `pixel_mm` and, where they are smaller than `min_size` pixels a side, padded to
    it; larger ones are kept whole.

    Args:
        example: a volume with its affine, as its reader gave it.
        segment: from (depth, height, width) int16 to a mask of that shape.
        pixel_mm: pixel size that `segment` wants.
        min_size: least height and width that it wants.
        fill: value of the padding.

    Returns:
        (depth, height, width) uint8 mask on the grid of `example`.

    Raises:
        ValueError: if the example has no affine.
    """
    resampled = preprocess.resample_in_plane(example, pixel_mm)
    if resampled.affine is None:
        raise ValueError(f"{example.subject}: found no affine; wanted one to place the mask")
    height, width = (max(min_size, size) for size in resampled.image.shape[1:])
    image, before = preprocess.pad_or_crop_in_plane(resampled.image, (height, width), fill)
    mask = segment(preprocess.to_int16(image)).astype(np.uint8)
    mask = preprocess.undo_pad_or_crop(mask, before)
    return preprocess.resample_mask_to(mask, resampled.affine, example)
