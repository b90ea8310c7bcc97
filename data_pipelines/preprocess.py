"""Resampling and padding of volumes within their slices, and the way back to the file's grid."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage

from data_pipelines.example import Example


def resample_in_plane(example: Example, spacing_mm: float) -> Example:
    """Resamples each slice of a volume to another pixel spacing; the slices stay where they are.

    Args:
        example: a volume (depth, height, width) with its spacing; the affine may be None.
        spacing_mm: new spacing along height and along width in mm.

    Returns:
        See `resample`.

    Raises:
        ValueError: no volume, or a spacing that is not positive.
    """
    return resample(example, (None, spacing_mm, spacing_mm))


def resample(example: Example, spacing_mm: Sequence[float | None]) -> Example:
    """Resamples a volume to another spacing.

    Along each axis the new grid has round(size · old spacing / new spacing) voxels and shares its centre with
    the old one. Image values are interpolated linearly, labels take the nearest voxel; beyond the outermost
    voxel centres the edge values continue. Nothing is smoothed before voxels are made larger.

    Args:
        example: a volume (depth, height, width) with its spacing; the affine may be None.
        spacing_mm: new spacing along depth, height and width in mm; None leaves an axis as it is.

    Returns:
        The example with new image, label, spacing and affine; the affine gives every new voxel centre its
        true world coordinates. Source affine and source shape stay those of the file.

    Raises:
        ValueError: no volume, or a spacing that is not positive.
    """
    if example.image.ndim != 3 or len(example.spacing_mm) != 3:
        raise ValueError(
            f"{example.subject}: found an image of shape {example.image.shape} and spacing "
            f"{example.spacing_mm}; wanted a volume (depth, height, width) with three spacings"
        )
    wanted = [mm for mm in spacing_mm if mm is not None]
    if not all(np.isfinite(mm) and mm > 0 for mm in wanted):
        raise ValueError(f"spacing_mm: found {', '.join(map(str, wanted))}; wanted a positive number")
    new_mm = [old if mm is None else mm for mm, old in zip(spacing_mm, example.spacing_mm, strict=True)]
    shape = np.array(example.image.shape)
    scale = np.array(new_mm) / np.array(example.spacing_mm)
    new_shape = tuple(int(size) for size in np.maximum(1, np.rint(shape / scale)))
    offset = (shape - 1) / 2 - scale * (np.array(new_shape) - 1) / 2

    def interpolate(array: np.ndarray, order: int) -> np.ndarray:
        output = np.float32 if order else array.dtype
        # SciPy's stubs know only scalar offsets.
        shift: Any = offset
        return ndimage.affine_transform(array, scale, shift, new_shape, output, order=order, mode="nearest")

    affine = example.affine
    if affine is not None:
        step = np.diag([*scale, 1.0])
        step[:3, 3] = offset
        affine = affine @ step
    return replace(
        example,
        image=interpolate(example.image, 1),
        label=None if example.label is None else interpolate(example.label, 0),
        spacing_mm=tuple(float(mm) for mm in new_mm),
        affine=affine,
    )


def pad_or_crop_in_plane(
    array: np.ndarray, size: tuple[int, int], fill: float
) -> tuple[np.ndarray, tuple[int, int]]:
    """Pads or crops height and width about the centre.

    Where an odd number of rows or columns comes or goes, the smaller half does so at the start.

    Args:
        array: (depth, height, width) or (height, width).
        size: height and width wanted.
        fill: value of the padding.

    Returns:
        An array of the wanted size and the type of `array`, and the height and width that `array` had, which
        are all that `undo_pad_or_crop` needs to find the offsets again.

    Raises:
        ValueError: a size that is not positive.
    """
    # Centring is its own inverse: the offsets of old in new and of new in old are halves of one difference.
    return undo_pad_or_crop(array, size, fill), (array.shape[-2], array.shape[-1])


def undo_pad_or_crop(array: np.ndarray, size: tuple[int, int], fill: float = 0) -> np.ndarray:
    """Inverse of `pad_or_crop_in_plane`: puts all that was kept back to its place.

    Args:
        array: (depth, height, width) or (height, width), as padded or cropped.
        size: height and width before, as `pad_or_crop_in_plane` gave them.
        fill: value of what had been cropped away.

    Returns:
        An array of the given size and the type of `array`.

    Raises:
        ValueError: a size that is not positive.
    """
    if min(size) < 1:
        raise ValueError(f"size: found {size}; wanted positive numbers")
    placed = np.full((*array.shape[:-2], *size), fill, array.dtype)
    rows, new_rows = _shared(array.shape[-2], size[0])
    columns, new_columns = _shared(array.shape[-1], size[1])
    placed[..., new_rows, new_columns] = array[..., rows, columns]
    return placed


def resample_mask_to(mask: np.ndarray, affine: np.ndarray, example: Example) -> np.ndarray:
    """Brings a mask from any grid to the grid of an example: each voxel takes the nearest one of the mask.

    With the example as its reader gave it, the result is what `nifti.write_mask` writes.

    Args:
        mask: (depth, height, width) labels.
        affine: (4, 4) matrix from the mask's voxel indices to RAS world coordinates in mm.
        example: the volume whose grid is wanted.

    Returns:
        Array of the mask's type and the shape of `example.image`; 0 outside the mask's grid.

    Raises:
        ValueError: the example has no affine.
    """
    if example.affine is None:
        raise ValueError(f"{example.subject}: found no affine; wanted one to place the mask")
    step = np.linalg.inv(affine) @ example.affine
    # Rounding makes equal grids exactly equal.
    matrix: np.ndarray = np.round(step[:3, :3], 9)
    offset: Any = np.round(step[:3, 3], 6)
    if np.array_equal(matrix, np.diag(np.diag(matrix))):
        matrix = np.diag(matrix)
    # grid-constant lets the outermost mask voxels reach half a voxel beyond their centres, as all others do.
    return ndimage.affine_transform(
        mask,
        matrix,
        offset,
        example.image.shape,
        order=0,
        mode="grid-constant",
        cval=0,
    )


def _shared(old: int, new: int) -> tuple[slice, slice]:
    """The part that a centred old and a centred new axis share, as indices of each."""
    extent = min(old, new)
    start, new_start = (old - extent) // 2, (new - extent) // 2
    return slice(start, start + extent), slice(new_start, new_start + extent)


def to_int16(image: np.ndarray) -> np.ndarray:
    """Rounds to whole numbers, as scanners store HU, clipped to the range of int16."""
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(image), limits.min, limits.max).astype(np.int16)


def fit_in_plane(example: Example, pixel_mm: float, size: int, fill: float) -> Example:
    """Brings slices to square pixels of one size and to squares of one size, centred.

    Args:
        example: a volume, with or without label.
        pixel_mm: pixel size wanted.
        size: height and width wanted, in pixels; more is cropped, less padded.
        fill: value of the padding; that of the label is 0.

    Returns:
        The example with an int16 image (whole HU) and label of shape (depth, size, size), and its new
        spacing; without affine, since the origin has moved.
    """
    example = resample_in_plane(example, pixel_mm)
    label = example.label
    if label is not None:
        label, _ = pad_or_crop_in_plane(label, (size, size), 0)
    image, _ = pad_or_crop_in_plane(example.image, (size, size), fill)
    return replace(example, image=to_int16(image), label=label, affine=None)


def fit_field_of_view(example: Example, size: int, fill: float) -> Example:
    """Brings slices to squares of so many pixels that show the whole field of view; see `fit_in_plane`.

    Args:
        example: a volume, with or without label.
        size: height and width wanted, in pixels.
        fill: value of the padding where slices are not square.
    """
    return fit_in_plane(example, field_of_view_pixel_mm(example, size), size, fill)


def field_of_view_pixel_mm(example: Example, size: int) -> float:
    """The pixel size at which the longer side of the slices has `size` pixels, in mm."""
    sides = (count * mm for count, mm in zip(example.image.shape[1:], example.spacing_mm[1:], strict=True))
    return max(sides) / size
