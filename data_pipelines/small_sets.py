"""Small data sets for studies of augmentation: characters and brains, built in or real, and a user's own."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_pipelines import labelled_folder
from data_pipelines.image_stack import resize
from data_pipelines.labelled_images import ImageSet, LabelledImages, select, split
from data_pipelines.phantoms import brain_slice
from data_pipelines.readers.errors import ReadError

CHARACTER_SETS = ("balanced", "unbalanced", "varied")

SETS = {"characters": CHARACTER_SETS, "brains": ("brains",), "folder": ("images",)}
"""Names of the sets of each source."""

_SEED = 17
"""Of the selection of images: the sets do not depend on the seed of a run."""

_COMMON_SHARE = 0.75
"""In unbalanced sets each class is so many times as frequent as the next."""

_SHARES = (0.7, 0.1)
"""Of each class for training and for validation; the rest is for the test."""

_LEAST = 10
"""Images of a class, so that each part gets one."""

_NUM_HEALTHY, _NUM_DEMENTED = 316, 100


def read_sets(
    source: str,
    data_dir: Path | None,
    cache_dir: Path,
    shape: tuple[int, int],
    num_raw: int,
    num_classes: int,
) -> Mapping[str, ImageSet]:
    """Reads the sets of a source.

    Args:
        source: see `SETS`.
        data_dir: holds the files; None where they are built in.
        cache_dir: see `own_sets`.
        shape: of the images.
        num_raw: see `character_sets`.
        num_classes: see `own_sets`.

    Raises:
        ReadError: see there; or no folder is given for images of a folder.
    """
    if source == "characters":
        return character_sets(num_raw, shape, data_dir)
    if source == "brains":
        return brain_sets(shape, data_dir)
    if data_dir is None:
        raise ReadError("--data-dir", "none", "the folder of the images")
    return own_sets(data_dir, cache_dir, shape, num_classes)


def character_sets(num_raw: int, shape: tuple[int, int], data_dir: Path | None) -> Mapping[str, ImageSet]:
    """A balanced set of ten characters, an unbalanced one, and one with two forms of each, unbalanced.

    Args:
        num_raw: images of each set, 80 % for training and 20 % for validation.
        shape: of the images.
        data_dir: MNIST and EMNIST letters (`data_pipelines.readers.mnist`), tested on their own test images.
            None takes the digits of scikit-learn, half of them mirrored in the third set, and tests on the
            rest.

    Raises:
        ReadError: if a file is missing or damaged.
    """
    rng = np.random.default_rng(_SEED)
    tests = {}
    if data_dir is None:
        digits = sklearn_digits(shape)
        coins = rng.integers(2, size=(len(digits.labels), 1, 1, 1)).astype(bool)
        mirrored = LabelledImages(np.where(coins, digits.images[:, :, ::-1], digits.images), digits.labels)
        pools = dict(zip(CHARACTER_SETS, (digits, digits, mirrored), strict=True))
    else:
        from data_pipelines.readers.mnist import read_letters, read_mnist

        digits, letters = read_mnist(data_dir, "train", shape), read_letters(data_dir, "train", shape)
        pools = dict(zip(CHARACTER_SETS, (digits, digits, letters), strict=True))
        digits, letters = read_mnist(data_dir, "t10k", shape), read_letters(data_dir, "test", shape)
        tests = dict(zip(CHARACTER_SETS, (digits, digits, letters), strict=True))
    sets = {}
    for name, pool in pools.items():
        weights = np.ones(10) if name == "balanced" else rng.permutation(_COMMON_SHARE ** np.arange(10))
        chosen = select(rng, pool, list(weights), num_raw, train_share=0.8)
        sets[name] = ImageSet(chosen.train, chosen.validation, tests.get(name, chosen.test))
    return sets


def sklearn_digits(shape: tuple[int, int]) -> LabelledImages:
    """The 1797 handwritten digits of scikit-learn, real ones of 8 x 8 pixels, resized to `shape`."""
    from sklearn.datasets import load_digits  # only the built-in characters need it

    images, labels = load_digits(return_X_y=True)
    return LabelledImages(resize(images.reshape(-1, 8, 8) / 16, shape), labels.astype(np.int32))


def brain_sets(shape: tuple[int, int], data_dir: Path | None) -> Mapping[str, ImageSet]:
    """Healthy and demented subjects: 70 % for training, 10 % for validation, 20 % for the test.

    Args:
        shape: of the images.
        data_dir: OASIS (`data_pipelines.readers.oasis`), or None for the phantom, 316 healthy, 100 demented.

    Raises:
        ReadError: if a file is missing or damaged.
    """
    if data_dir is None:
        draw, groups = brain_slice.draw_brain, ((False, _NUM_HEALTHY), (True, _NUM_DEMENTED))
        cases = [
            (draw(seed, shape, dementia=ill).image, ill) for ill, count in groups for seed in range(count)
        ]
    else:
        from data_pipelines.readers import oasis  # the phantom must run without the medical readers

        cases = [(oasis.read_slice(one), one.has_dementia) for one in oasis.find_subjects(data_dir)]
    images = np.concatenate([resize(image[None], shape) for image, _ in cases])
    pool = LabelledImages(images, np.array([ill for _, ill in cases], np.int32))
    return {"brains": split(np.random.default_rng(_SEED), pool, _SHARES)}


def own_sets(
    folder: Path, cache_dir: Path, shape: tuple[int, int], num_classes: int
) -> Mapping[str, ImageSet]:
    """A user's own images, split as the brains are.

    Args:
        folder: holds them (`labelled_folder.read_folder`).
        cache_dir: see there.
        shape: of the images.
        num_classes: how many classes there have to be.

    Raises:
        ReadError: as `read_folder`; another number of classes, or one of less than ten images.
    """
    pool = labelled_folder.read_folder(folder, cache_dir, shape)
    if len(pool.classes) != num_classes:
        found = f"{len(pool.classes)} classes: {', '.join(pool.classes)}"
        raise ReadError(folder, found, f"as many as num_classes says, {num_classes}")
    counts = np.bincount(pool.labels, minlength=num_classes)
    if counts.min() < _LEAST:
        found = f"{counts.min()} images of the class {pool.classes[counts.argmin()]}"
        raise ReadError(folder, found, f"{_LEAST} or more, for training, validation and test")
    return {"images": split(np.random.default_rng(_SEED), pool, _SHARES)}
