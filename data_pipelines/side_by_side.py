"""Loaders of batches (batch, models, ...) for models that train side by side, each on images of its own."""

from collections.abc import Sequence

import numpy as np

from data_pipelines.example_stream import Load
from data_pipelines.labelled_images import LabelledImages


def whole_batches(images: Sequence[np.ndarray], batch_size: int) -> Load:
    """Every model gets all its images in every batch, or random ones where they are more than a batch.

    Args:
        images: of each model, (count, height, width, 1).
        batch_size: also the number of examples that the index plan must have.

    Returns:
        A loader of `image` (models, height, width, 1) and `weight` (models,), 0 where a model has no more.
    """
    blank = np.zeros(images[0].shape[1:], np.float32)

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        chosen, weight = [], []
        for own, share in zip(images, generator.random(len(images)), strict=True):
            number = index if len(own) <= batch_size else int(share * len(own))
            chosen.append(own[number] if number < len(own) else blank)
            weight.append(number < len(own))
        return {"image": np.stack(chosen), "weight": np.array(weight, np.float32)}

    return load


def random_batches(parts: Sequence[LabelledImages]) -> Load:
    """Every model gets images of its own training set, drawn with replacement.

    Args:
        parts: the training set of each model.

    Returns:
        A loader of `image` (models, height, width, 1) and `label` (models,).
    """
    sizes = np.array([len(part.labels) for part in parts])

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        chosen = (generator.random(len(parts)) * sizes).astype(int)
        return {
            "image": np.stack([part.images[k] for part, k in zip(parts, chosen, strict=True)]),
            "label": np.array([part.labels[k] for part, k in zip(parts, chosen, strict=True)], np.int32),
        }

    return load


def stack_loaders(loaders: Sequence[Load]) -> Load:
    """A loader of what the loaders of all models give for the same index and generator, stacked."""

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        examples = [one(index, generator) for one in loaders]
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}

    return load
