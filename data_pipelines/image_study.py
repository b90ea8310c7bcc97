"""Sets of labelled images that a study compares methods on, and its batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from data_pipelines import pipeline
from data_pipelines.example_stream import Load
from data_pipelines.index_plan import IndexPlan
from data_pipelines.labelled_images import ImageSet


@dataclass(frozen=True)
class ImageStudy:
    """What runs are made of and scored on.

    Attributes:
        sets: by name.
        make_batches: `(load, num_examples) -> batches`, and `batches(first_step)` gives this process's part
            of the batches from that step on.
    """

    sets: Mapping[str, ImageSet]
    make_batches: Callable[[Load, int], Callable[[int], pipeline.Batches]]

    @property
    def class_images(self) -> list[np.ndarray]:
        """The training images of every class: set by set, class by class."""
        return [images for one in self.sets.values() for images in one.train_by_class()]

    def images(self, part: str) -> dict[str, np.ndarray]:
        """The images of "train", "validation" or "test", by set."""
        return {name: getattr(one, part).images for name, one in self.sets.items()}

    def labels(self, part: str) -> dict[str, np.ndarray]:
        """Their classes."""
        return {name: getattr(one, part).labels for name, one in self.sets.items()}


def open_study(
    sets: Mapping[str, ImageSet],
    batch_size: int,
    seed: int,
    *,
    executor: pipeline.Executor = "auto",
    process_index: int = 0,
    process_count: int = 1,
) -> ImageStudy:
    """Makes a study.

    Args:
        sets: by name.
        batch_size: of all its batches, over all processes.
        seed: of the order of the examples.
        executor: see `pipeline.make_batches`, as for the others.
        process_index: see there.
        process_count: see there.
    """

    def make_batches(load: Load, num_examples: int) -> Callable[[int], pipeline.Batches]:
        plan = IndexPlan(num_examples, batch_size, seed)
        options = {"process_index": process_index, "process_count": process_count}
        return lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options)

    return ImageStudy(sets, make_batches)
