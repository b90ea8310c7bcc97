"""Images with one class each, in memory: sets, their parts by number or by class, and batches of them."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_pipelines.example_stream import Load
from data_pipelines.index_plan import IndexPlan


@dataclass(frozen=True)
class LabelledImages:
    """Images and their classes.

    Attributes:
        images: (examples, height, width, channels) uint8, or float32 in [0, 1].
        labels: (examples,) int32 classes, from 0.
        classes: their names; empty where there are none.
        parts: (examples,) int8: 0 for training, 1 for validation, 2 for test, where the set is published with
            a split; None elsewhere.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = ()
    parts: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.images.ndim != 4 or self.images.dtype not in (np.uint8, np.float32) or not count:
            raise ValueError(
                f"images: {self.images.dtype} {self.images.shape}; wanted uint8 or float32 of rank 4"
            )
        last = len(self.classes) - 1 if self.classes else self.labels.max(initial=0)
        if self.labels.shape != (count,) or self.labels.min() < 0 or self.labels.max() > last:
            raise ValueError(f"labels: shape {self.labels.shape}; wanted {count}, 0 to {last}")

    def take(self, chosen: np.ndarray) -> "LabelledImages":
        """Those with these numbers, or where a mask is true."""
        parts = None if self.parts is None else self.parts[chosen]
        return replace(self, images=self.images[chosen], labels=self.labels[chosen], parts=parts)

    def join(self, other: "LabelledImages") -> "LabelledImages":
        """Both in one, of the classes of the first and without a published split."""
        images = np.concatenate([self.images, other.images])
        return LabelledImages(images, np.concatenate([self.labels, other.labels]), self.classes)


@dataclass(frozen=True)
class ImageSet:
    """A set dealt out: what is trained on, chosen by and reported."""

    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages

    def train_by_class(self) -> list[np.ndarray]:
        """The training images of each class."""
        return [self.train.images[self.train.labels == label] for label in range(self.num_classes)]

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return int(self.train.labels.max()) + 1


def label_by_set(*sets: np.ndarray) -> LabelledImages:
    """Several arrays of images in one, labelled by the number of the array that they are from."""
    counts = [len(images) for images in sets]
    return LabelledImages(np.concatenate(sets), np.repeat(np.arange(len(sets), dtype=np.int32), counts))


def make_loader(images: LabelledImages) -> Load:
    """A loader of `image` (height, width, channels) and `label` ()."""

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        return {"image": images.images[index], "label": images.labels[index]}

    return load


def split_randomly(count: int, shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """Deals positions out to parts at random.

    Args:
        count: number of positions.
        shares: of each part but for rounding; they sum to 1. The last part gets the rest.
        seed: of the permutation.

    Returns:
        Sorted positions of each part; together they are all.

    Raises:
        ValueError: the shares do not sum to 1, or one is negative.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares: {tuple(shares)}; wanted none below 0 and 1 in sum")
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(count)
    ends = np.rint(np.cumsum(shares)[:-1] * count).astype(int)
    return [np.sort(part) for part in np.split(order, ends)]


def thin_out(labels: np.ndarray, ratio: float, seed: int) -> np.ndarray:
    """Makes a set unbalanced: class k keeps the share ratio^(k / (classes - 1)) of its examples.

    Args:
        labels: (examples,) classes, from 0.
        ratio: share that the last class keeps, in (0, 1].
        seed: of the choice.

    Returns:
        Sorted positions of what is kept; at least one example of each class.
    """
    generator = np.random.Generator(np.random.Philox(key=seed))
    last = max(int(labels.max()), 1)
    kept = []
    for label in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == label)
        count = max(1, round(len(members) * ratio ** (label / last)))
        kept.append(generator.permutation(members)[:count])
    return np.sort(np.concatenate(kept))


def select(
    rng: np.random.Generator,
    pool: LabelledImages,
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


def split(rng: np.random.Generator, pool: LabelledImages, shares: tuple[float, float]) -> ImageSet:
    """Splits each class by shares for training and validation; the rest is for the test."""
    parts: tuple[list, list, list] = ([], [], [])
    for label in np.unique(pool.labels):
        found = rng.permutation(np.flatnonzero(pool.labels == label))
        cuts = [round(share * len(found)) for share in np.cumsum(shares)]
        for part, chosen in zip(parts, np.split(found, cuts), strict=True):
            part.append(chosen)
    return ImageSet(*(pool.take(np.concatenate(part)) for part in parts))


def make_batches(
    images: LabelledImages, positions: np.ndarray, plan: IndexPlan, part: slice, first_step: int
) -> Generator[dict[str, np.ndarray], None, None]:
    """Cuts this host's part of the training batches from arrays in memory, without end.

    Args:
        images: the set.
        positions: (plan.num_examples,) which of its images are trained on.
        plan: says which of these stands where.
        part: of the global batch (`IndexPlan.host_slice`).
        first_step: step of the first batch.

    Yields:
        `image` (batch, height, width, channels) uint8 and `label` (batch,) int32.
    """
    step = first_step
    while True:
        chosen = positions[plan.indices(step)[part]]
        yield {"image": images.images[chosen], "label": images.labels[chosen]}
        step += 1
