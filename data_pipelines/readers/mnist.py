"""MNIST and the letters of EMNIST, from their IDX files."""

from pathlib import Path

import numpy as np

from data_pipelines.image_stack import resize
from data_pipelines.labelled_images import LabelledImages
from data_pipelines.readers import idx
from data_pipelines.readers.errors import ReadError

LETTERS = (1, 2, 4, 5, 7, 8, 14, 17, 18, 20)
"""A B D E G H N Q R T, whose small forms differ from the capital ones."""


def read_mnist(root: Path, part: str, shape: tuple[int, int]) -> LabelledImages:
    """Reads `<part>-images-idx3-ubyte` and `<part>-labels-idx1-ubyte`, or the same with .gz.

    Args:
        root: the folder, below which they lie anywhere.
        part: "train", "t10k", or one of EMNIST, such as "emnist-letters-train".
        shape: images are resized to it.

    Raises:
        ReadError: if a file is missing, double or damaged, or the two do not fit each other.
    """
    images = idx.read_idx(idx.find_idx(root, f"{part}-images-idx3-ubyte"))
    labels = idx.read_idx(idx.find_idx(root, f"{part}-labels-idx1-ubyte"))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ReadError(root, f"{part} images {images.shape}, labels {labels.shape}", "one label per image")
    return LabelledImages(resize(images / 255, shape), labels.astype(np.int32))


def read_letters(root: Path, part: str, shape: tuple[int, int]) -> LabelledImages:
    """Reads ten letters of EMNIST letters, small and capital in one class, numbered from 0, and upright."""
    found = read_mnist(root, f"emnist-letters-{part}", (shape[1], shape[0]))
    found = found.take(np.isin(found.labels, LETTERS))
    labels = np.searchsorted(LETTERS, found.labels).astype(np.int32)
    return LabelledImages(found.images.swapaxes(1, 2), labels)
