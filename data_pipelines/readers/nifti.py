"""NIfTI volumes and masks, read strictly and written back onto their own grid."""

import dataclasses
import gzip
import os
import secrets
from pathlib import Path

import nibabel as nib
import numpy as np

from data_pipelines import orientation
from data_pipelines.example import Example
from data_pipelines.readers import nifti_header
from data_pipelines.readers.errors import ReadError
from data_pipelines.readers.voxels import to_finite_float32

AFFINE_TOLERANCE = 1e-3
"""Largest difference between entries of two affines (mm) that still counts as the same grid."""


def read_volume(
    path: str | Path,
    *,
    replace_nonfinite: bool = False,
    accept_zero_slope: bool = False,
    frame: int | None = None,
) -> Example:
    """Reads a .nii or .nii.gz volume, brought to (depth, height, width) = superior, posterior, left.

    The file is read to its last byte, so that truncated and (for .nii.gz) altered data are found. The
    affine is the sform's, else the qform's; with neither, a warning names the orientation assumed.

    Args:
        path: the file; three-dimensional, or four-dimensional with a last axis of size 1.
        replace_nonfinite: gives NaN and infinite voxels the smallest finite value of the volume.
        accept_zero_slope: reads `scl_slope` 0 as the NIfTI standard's "no scaling".
        frame: which volume, from 0, of a file of several (four dimensions); None wants a file of one.

    Returns:
        The case with a float32 image; its affine, spacing, source affine and source shape are set.

    Raises:
        ReadError: for any fault of the file.
    """
    path = Path(path)
    values, affine = _read_values(path, accept_zero_slope, frame)
    source_shape = values.shape
    canonical, canonical_affine = orientation.to_canonical(values, affine)
    return Example(
        subject=case_name(path),
        image=to_finite_float32(canonical, path, replace_nonfinite),
        spacing_mm=orientation.voxel_sizes(canonical_affine),
        affine=canonical_affine,
        source_affine=affine,
        source_shape=source_shape,
    )


def read_label(
    path: str | Path,
    example: Example,
    *,
    num_classes: int = 256,
    affine_tolerance: float = AFFINE_TOLERANCE,
    accept_zero_slope: bool = False,
    frame: int | None = None,
) -> np.ndarray:
    """Reads the label map of an example.

    The file may store its axes in another order than the image does, as long as both name the same voxels.

    Args:
        path: a .nii or .nii.gz file.
        example: the volume that the labels belong to.
        num_classes: labels run from 0 to this number - 1; at most 256.
        affine_tolerance: largest difference between entries of the two affines in mm.
        accept_zero_slope: reads `scl_slope` 0 as the NIfTI standard's "no scaling".
        frame: as in `read_volume`.

    Returns:
        uint8 array of the shape of `example.image`.

    Raises:
        ReadError: for any fault of the file, another shape or affine than the image's, and labels that
            are out of range or not whole numbers.
    """
    path = Path(path)
    values, source_affine = _read_values(path, accept_zero_slope, frame)
    values, affine = orientation.to_canonical(values, source_affine)
    if values.shape != example.image.shape:
        raise ReadError(
            path, f"a mask of canonical shape {values.shape}", f"the image's {example.image.shape}"
        )
    if example.affine is None:
        raise ValueError(f"example {example.subject}: found no affine; wanted one to place {path}")
    difference = float(np.abs(affine - example.affine).max())
    if difference > affine_tolerance:
        raise ReadError(
            path,
            f"an affine that differs from the image's by {difference:.4g}",
            f"one within {affine_tolerance:g}",
        )
    return _whole_labels(values, path, num_classes)


def read_pair(
    image_path: str | Path,
    label_path: str | Path,
    *,
    num_classes: int = 256,
    replace_nonfinite: bool = False,
    accept_zero_slope: bool = False,
) -> Example:
    """Reads a volume together with its label map: `read_volume`, then `read_label`.

    Args:
        image_path: the volume.
        label_path: its label map, on the same grid.
        num_classes: labels run from 0 to this number - 1; at most 256.
        replace_nonfinite: gives NaN and infinite voxels of the image its smallest finite value.
        accept_zero_slope: reads `scl_slope` 0 as the NIfTI standard's "no scaling".

    Returns:
        The case with image and label.

    Raises:
        ReadError: for any fault of either file, and where the two do not match.
    """
    example = read_volume(
        image_path, replace_nonfinite=replace_nonfinite, accept_zero_slope=accept_zero_slope
    )
    label = read_label(label_path, example, num_classes=num_classes, accept_zero_slope=accept_zero_slope)
    return dataclasses.replace(example, label=label)


def write_mask(path: str | Path, mask: np.ndarray, example: Example) -> None:
    """Writes a mask as uint8 NIfTI on the grid and with the affine of the file that the example came from.

    For a DICOM series that grid has columns, rows and slices as its axes. The file appears whole or not at
    all: it is written beside its place and moved there at the end.

    Args:
        path: where to write; .nii or .nii.gz. A file there is replaced.
        mask: (depth, height, width) bools or whole numbers from 0 to 255, on the grid of `example.image`.
        example: a case as a reader gave it, not resampled since (`preprocess.resample_mask_to` brings a
            mask back).

    Raises:
        ValueError: another name, shape, grid or range.
    """
    path = Path(path)
    affine = _checked_source_affine(path, mask, example)
    _write(path, orientation.from_canonical(_whole_labels(mask, path, 256), affine), affine)


def write_volume(path: str | Path, volume: np.ndarray, affine: np.ndarray) -> None:
    """Writes a volume as float32 NIfTI, its axes from right to left, anterior to posterior and upwards.

    Args:
        path: where to write; .nii or .nii.gz. A file there is replaced, whole or not at all.
        volume: (depth, height, width).
        affine: (4, 4) matrix from its voxel indices in array order to RAS world coordinates in mm.

    Raises:
        ValueError: another name, or not three dimensions.
    """
    path = Path(path)
    if volume.ndim != 3:
        raise ValueError(f"{path}: found a volume of shape {volume.shape}; wanted (depth, height, width)")
    turned = np.ascontiguousarray(np.transpose(volume.astype(np.float32), (2, 1, 0)))
    _write(path, turned, affine[:, [2, 1, 0, 3]])


def _write(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"{path}: found the file name {path.name!r}; wanted one ending in .nii or .nii.gz")
    header = nib.Nifti1Header()
    header.set_xyzt_units("mm")
    header.set_data_dtype(values.dtype)
    image = nib.Nifti1Image(values, affine, header)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    content = image.to_bytes()
    if path.name.endswith(".gz"):
        # Level 9 takes minutes for a ragged mask; without a time stamp equal volumes are equal files.
        content = gzip.compress(content, compresslevel=4, mtime=0)
    _write_atomically(path, content)


def case_name(path: Path) -> str:
    """Name of the case in a file: the file's name without .nii, .nii.gz.

    Args:
        path: the file.

    Returns:
        The name.
    """
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _read_values(path: Path, accept_zero_slope: bool, frame: int | None) -> tuple[np.ndarray, np.ndarray]:
    with nifti_header.open_stream(path) as stream:
        layout = nifti_header.read_layout(stream, path, accept_zero_slope, many=frame is not None)
    if frame is not None and not 0 <= frame < layout.shape[3]:
        raise ReadError(path, f"{layout.shape[3]} volumes", f"one with the number {frame}")
    content = nifti_header.read_voxel_bytes(path, layout)
    stored = np.ndarray(layout.shape, layout.dtype, content.data, offset=layout.offset, order="F")
    if frame is not None:
        stored = stored[..., frame]
    if (layout.slope, layout.intercept) == (1.0, 0.0):
        return stored, layout.affine
    # 16-bit integers are exact in float32; wider types need float64 until they are scaled.
    exact = np.float32 if stored.dtype.itemsize <= 2 else np.float64
    with np.errstate(over="ignore", invalid="ignore"):
        return stored.astype(exact) * exact(layout.slope) + exact(layout.intercept), layout.affine


def _whole_labels(values: np.ndarray, path: Path, num_classes: int) -> np.ndarray:
    if not 1 <= num_classes <= 256:
        raise ValueError(f"num_classes: found {num_classes}; wanted 1 to 256")
    if not np.isfinite(values).all() or (values.dtype.kind == "f" and (values != np.rint(values)).any()):
        raise ReadError(
            path, "labels that are not whole numbers", f"whole numbers from 0 to {num_classes - 1}"
        )
    lowest, highest = values.min(), values.max()
    if lowest < 0 or highest >= num_classes:
        raise ReadError(path, f"labels from {lowest:g} to {highest:g}", f"labels from 0 to {num_classes - 1}")
    return values.astype(np.uint8)


def _checked_source_affine(path: Path, mask: np.ndarray, example: Example) -> np.ndarray:
    if example.source_affine is None or example.affine is None:
        raise ValueError(f"{path}: found an example that came from no file; wanted one with a source affine")
    shape, affine = orientation.canonical_grid(example.source_shape, example.source_affine)
    if example.image.shape != shape or np.abs(example.affine - affine).max() > AFFINE_TOLERANCE:
        raise ValueError(
            f"{path}: found an example resampled since it was read; wanted it on its file's grid"
        )
    if mask.shape != shape:
        raise ValueError(f"{path}: found a mask of shape {mask.shape}; wanted {shape}")
    return example.source_affine


def _write_atomically(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
