"""The two-dimensional sets of MedMNIST: one .npz file with images and classes of three parts."""

from pathlib import Path

import numpy as np

from data_pipelines.labelled_images import LabelledImages
from data_pipelines.readers import numpy_files
from data_pipelines.readers.errors import ReadError

_PARTS = ("train", "val", "test")


def read_medmnist(path: str | Path, classes: tuple[str, ...] | None = None) -> LabelledImages:
    """Reads a file such as pneumoniamnist.npz.

    Args:
        path: the file, with the arrays `train_images`, `train_labels`, and the same of val and test: images
            (examples, size, size) or (examples, size, size, 3) uint8, labels (examples, 1).
        classes: their names; numbers by default.

    Returns:
        All images, with the parts as published.

    Raises:
        ReadError: see `numpy_files.read_arrays`; arrays are missing or of other shapes or types.
    """
    path = Path(path)
    arrays = numpy_files.read_arrays(path)
    images, labels, parts = [], [], []
    for number, part in enumerate(_PARTS):
        pixels, target = (_find(arrays, f"{part}_{name}", path) for name in ("images", "labels"))
        if pixels.ndim not in (3, 4) or pixels.dtype != np.uint8:
            raise ReadError(path, f"{part}_images of {pixels.dtype} {pixels.shape}", "uint8 images")
        if target.shape != (len(pixels), 1) or target.dtype.kind not in "iu":
            raise ReadError(path, f"{part}_labels of {target.dtype} {target.shape}", "one class an image")
        images.append(pixels if pixels.ndim == 4 else pixels[..., None])
        labels.append(target[:, 0].astype(np.int32))
        parts.append(np.full(len(target), number, np.int8))
    if len({array.shape[1:] for array in images}) != 1:
        raise ReadError(path, "images of several sizes", "one size")
    every = np.concatenate(labels)
    if not every.size or every.min() < 0:
        raise ReadError(path, "no images, or negative classes", "classes from 0")
    names = classes or tuple(str(number) for number in range(int(every.max()) + 1))
    if every.max() >= len(names):
        raise ReadError(path, f"the class {every.max()}", f"classes 0 to {len(names) - 1}")
    return LabelledImages(np.concatenate(images), every, names, np.concatenate(parts))


def _find(arrays: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    if name not in arrays:
        raise ReadError(path, f"the arrays {', '.join(sorted(arrays))}", name)
    return arrays[name]
