"""Images with one class each in an .npz file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_pipelines.labelled_images import LabelledImages
from data_pipelines.readers import numpy_files
from data_pipelines.readers.errors import ReadError

_IMAGES, _LABELS = ("images", "data"), ("labels", "targets")


def read_labelled(path: Path) -> LabelledImages:
    """Reads a file as `write_labelled` writes it, or with the other common names of its arrays.

    Args:
        path: the file, with `images` or `data`: (images, height, width), or with one channel behind, uint8 or
            floating-point numbers from 0 to 1; and `labels` or `targets`: (images,) or (images, 1) whole
            numbers, of any type. Other arrays are passed over.

    Returns:
        Images (images, height, width, 1) float32 in [0, 1]; classes in the order of their numbers, which are
        their names.

    Raises:
        ReadError: see `numpy_files.read_arrays`; arrays are missing or of other shapes, types or values.
    """
    arrays = numpy_files.read_arrays(path)
    images, labels = _find(arrays, _IMAGES, path), _find(arrays, _LABELS, path)
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim != 3 or not images.size:
        raise ReadError(path, f"images of shape {images.shape}", "(images, height, width), with one channel")
    if labels.shape not in ((len(images),), (len(images), 1)) or not _is_whole(labels):
        wanted = f"a whole number for each of {len(images)} images"
        raise ReadError(path, f"labels of {labels.dtype} {labels.shape}", wanted)
    values, numbers = np.unique(labels.ravel().astype(np.int64), return_inverse=True)
    pixels = _to_unit_range(images, path)[..., None]
    return LabelledImages(pixels, numbers.astype(np.int32), tuple(str(value) for value in values))


def write_labelled(path: Path, images: LabelledImages) -> Path:
    """Writes `images` (images, height, width), as they are, and `labels` (images,), compressed."""
    np.savez_compressed(path, allow_pickle=False, images=images.images[..., 0], labels=images.labels)
    return path


def _find(arrays: Mapping[str, np.ndarray], names: Sequence[str], path: Path) -> np.ndarray:
    found = [name for name in names if name in arrays]
    if len(found) != 1:
        raise ReadError(path, f"the arrays {', '.join(sorted(arrays))}", f"one called {' or '.join(names)}")
    return arrays[found[0]]


def _is_whole(labels: np.ndarray) -> bool:
    if labels.dtype.kind == "f":
        return bool(np.isfinite(labels).all() and (labels == np.rint(labels)).all())
    return labels.dtype.kind in "iu"


def _to_unit_range(images: np.ndarray, path: Path) -> np.ndarray:
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    if images.dtype.kind != "f":
        raise ReadError(path, f"images of {images.dtype}", "uint8, or floating-point numbers from 0 to 1")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ReadError(path, f"values from {low:g} to {high:g}", "0 to 1, or images of uint8")
    return images.astype(np.float32)
