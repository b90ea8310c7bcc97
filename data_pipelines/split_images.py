"""Images of one class for training and for the test, without a subject on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines.image_sources import ImageSource
from data_pipelines.labelled_images import split_randomly
from data_pipelines.readers.errors import ReadError


@dataclass(frozen=True)
class SplitImages:
    """Images of one class.

    Attributes:
        train: (images, size, size, 1) uint8.
        test: likewise.
        subjects: their names, of the training images, then of the test images; empty where they have none.
    """

    train: np.ndarray
    test: np.ndarray
    subjects: np.ndarray

    @property
    def whole(self) -> np.ndarray:
        """Training images, then test images, (images, size, size) float32 in [0, 1]."""
        return np.concatenate([self.train, self.test])[..., 0].astype(np.float32) / 255


def split_classes(
    source: ImageSource,
    cache_dir: Path,
    classes: Sequence[str],
    *,
    place: Any,
    test_share: float,
    by_subject: bool,
    seed: int,
) -> dict[str, SplitImages]:
    """Splits each class, by subject or image by image.

    Args:
        source: whose names are "<class>/<subject>_<slice>", or "<subject>_<slice>" where there is one class.
        cache_dir: where the prepared images lie.
        classes: names.
        place: where the images come from, for messages.
        test_share: of the subjects, or of the images.
        by_subject: whether the images of a subject stay together; otherwise each is one's own.
        seed: of the split.

    Returns:
        The images by class.

    Raises:
        ReadError: a class has not enough of them: one subject for training, one with two images for the test.
    """
    images = source.stack(cache_dir)
    names = np.array([Path(name).with_suffix("").as_posix() for name in source.names])
    folders = np.array([name.split("/")[0] if "/" in name else "" for name in names])
    found = {}
    for label in classes:
        is_own = folders == label
        if len(classes) == 1 and not is_own.any():
            is_own = np.ones(len(names), bool)
        pixels = images[is_own][..., None]
        subjects = np.array([name.rsplit("_", 1)[0] if by_subject else name for name in names[is_own]], str)
        distinct, numbers = np.unique(subjects, return_inverse=True)
        kept, tested = split_randomly(len(distinct), (1 - test_share, test_share), seed)
        order = [np.flatnonzero(np.isin(numbers, part)) for part in (kept, tested)]
        if len(order[0]) < 1 or len(order[1]) < 2:
            raise ReadError(
                place,
                f"{len(pixels)} images of {len(distinct)} subjects of the class '{label}'",
                "a sub-folder of that name with one subject for training and two images for the test at "
                "least (a folder without sub-folders is one class of any name)",
            )
        found[label] = SplitImages(pixels[order[0]], pixels[order[1]], subjects[np.concatenate(order)])
    return found


def equalise(first: SplitImages, second: SplitImages) -> tuple[SplitImages, SplitImages]:
    """As many images of both for training, and for the test: evenly spaced ones of the set that has more."""
    counts = min(len(first.train), len(second.train)), min(len(first.test), len(second.test))

    def thin(images: SplitImages) -> SplitImages:
        parts = zip((images.train, images.test), counts, strict=True)
        train, test = (np.linspace(0, len(part) - 1, count).round().astype(int) for part, count in parts)
        subjects = images.subjects[np.concatenate([train, len(images.train) + test])]
        return SplitImages(images.train[train], images.test[test], subjects)

    return thin(first), thin(second)
