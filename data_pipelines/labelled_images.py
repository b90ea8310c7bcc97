"""A set of images with one class each, small enough to lie in memory."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from data_pipelines.index_plan import IndexPlan


@dataclass(frozen=True)
class LabelledImages:
    """Images and their classes.

    Attributes:
        images: (examples, height, width, channels) uint8.
        labels: (examples,) int32 classes, from 0.
        classes: their names.
        parts: (examples,) int8: 0 for training, 1 for validation, 2 for test, where the set is published with
            a split; None elsewhere.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    parts: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.images.ndim != 4 or self.images.dtype != np.uint8 or not count:
            raise ValueError(f"images: {self.images.dtype} {self.images.shape}; wanted uint8 of rank 4")
        if self.labels.shape != (count,) or self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            raise ValueError(
                f"labels: shape {self.labels.shape}; wanted {count}, 0 to {len(self.classes) - 1}"
            )


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
