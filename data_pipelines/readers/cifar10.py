"""CIFAR-10 in its binary form: data_batch_1.bin to data_batch_5.bin and test_batch.bin."""

from pathlib import Path

import numpy as np

from data_pipelines.labelled_images import LabelledImages
from data_pipelines.readers.errors import ReadError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
_RECORD = 1 + 3 * 32 * 32


def read_cifar10(folder: str | Path) -> LabelledImages:
    """Reads all six files.

    Args:
        folder: holds the files, or `cifar-10-batches-bin` that does.

    Returns:
        The images (examples, 32, 32, 3); those of the test batch are part 2, the others part 0.

    Raises:
        ReadError: a file is missing, is not a whole number of records, or has a class above 9.
    """
    folder = Path(folder)
    inner = folder / "cifar-10-batches-bin"
    folder = inner if inner.is_dir() else folder
    images, labels, parts = [], [], []
    for name in FILES:
        pixels, classes = _read(folder / name)
        images.append(pixels)
        labels.append(classes)
        parts.append(np.full(len(classes), 2 if name.startswith("test") else 0, np.int8))
    return LabelledImages(np.concatenate(images), np.concatenate(labels), CLASSES, np.concatenate(parts))


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if not path.is_file():
        raise ReadError(path, "no file", "a binary batch of CIFAR-10")
    content = np.fromfile(path, np.uint8)
    if not content.size or content.size % _RECORD:
        raise ReadError(path, f"{content.size} bytes", f"a multiple of {_RECORD}, a class and 3 x 32 x 32")
    records = content.reshape(-1, _RECORD)
    if records[:, 0].max() >= len(CLASSES):
        raise ReadError(path, f"the class {records[:, 0].max()}", "classes 0 to 9")
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0].astype(np.int32)
