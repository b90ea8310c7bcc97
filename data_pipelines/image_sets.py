"""Small labelled sets of images that fit into memory: selection by class, splits, sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage


@dataclass(frozen=True)
class ImagePart:
    """Attributes: images, (count, height, width, 1) float32 in [0, 1]; labels, (count,) int32 from 0."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, chosen: np.ndarray) -> "ImagePart":
        """Those with these numbers, or where a mask is true."""
        return ImagePart(self.images[chosen], self.labels[chosen])

    def join(self, other: "ImagePart") -> "ImagePart":
        """Both in one."""
        images = np.concatenate([self.images, other.images])
        return ImagePart(images, np.concatenate([self.labels, other.labels]))


@dataclass(frozen=True)
class ImageSet:
    """A data set, split: what is trained on, chosen by and reported."""

    train: ImagePart
    validation: ImagePart
    test: ImagePart

    def train_by_class(self) -> list[np.ndarray]:
        """The training images of each class."""
        return [self.train.images[self.train.labels == label] for label in range(self.num_classes)]

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return int(self.train.labels.max()) + 1


def select(
    rng: np.random.Generator,
    pool: ImagePart,
    weights: Sequence[float],
    count: int,
    *,
    train_share: float,
) -> ImageSet:
    """Draws about `count` images by class weight, splits each class, and tests on the rest of the pool.

    Each class gives five images at least and leaves one at least for the test.

    Args:
        rng: draws.
        pool: all images.
        weights: of the classes, in any unit.
        count: images for training and validation together.
        train_share: share of them for training.

    Raises:
        ValueError: if a class has fewer than six images.
    """
    parts: tuple[list, list, list] = ([], [], [])
    for label, weight in enumerate(weights):
        share = weight / sum(weights)
        found = rng.permutation(np.flatnonzero(pool.labels == label))
        if len(found) < 6:
            raise ValueError(f"class {label} has {len(found)} images; wanted 6 or more")
        number = min(max(round(count * share), 5), len(found) - 1)
        for part, chosen in zip(parts, np.split(found, [round(train_share * number), number]), strict=True):
            part.append(chosen)
    return ImageSet(*(pool.take(np.concatenate(part)) for part in parts))


def split(rng: np.random.Generator, pool: ImagePart, shares: tuple[float, float]) -> ImageSet:
    """Splits each class by shares for training and validation; the rest is for the test."""
    parts: tuple[list, list, list] = ([], [], [])
    for label in np.unique(pool.labels):
        found = rng.permutation(np.flatnonzero(pool.labels == label))
        cuts = [round(share * len(found)) for share in np.cumsum(shares)]
        for part, chosen in zip(parts, np.split(found, cuts), strict=True):
            part.append(chosen)
    return ImageSet(*(pool.take(np.concatenate(part)) for part in parts))


def resize(images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Makes (count, height, width) (count, *shape, 1) float32, by linear interpolation if sizes differ."""
    if images.shape[1:] == shape:
        return np.ascontiguousarray(images[..., None], np.float32)
    factors = (1, *(new / old for new, old in zip(shape, images.shape[1:], strict=True)))
    resized = np.asarray(scipy.ndimage.zoom(images, factors, order=1, grid_mode=True, mode="nearest"))
    return np.ascontiguousarray(resized[..., None], np.float32)


def pad(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stacks arrays of images of different lengths, filled up with zeros.

    Returns:
        (arrays, most images, height, width, 1), and weights (arrays, most images), 1 for what is there.
    """
    most = max(len(one) for one in images)
    stacked = np.zeros((len(images), most, *images[0].shape[1:]), np.float32)
    weight = np.zeros(stacked.shape[:2], np.float32)
    for number, one in enumerate(images):
        stacked[number, : len(one)], weight[number, : len(one)] = one, 1
    return stacked, weight
