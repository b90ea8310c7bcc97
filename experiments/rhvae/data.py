"""The sets of the study, and batches of generative models and of classifiers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_pipelines import pipeline, side_by_side, small_sets
from data_pipelines.index_plan import IndexPlan
from data_pipelines.labelled_images import ImageSet
from experiments.contract import PHANTOM, Data
from experiments.rhvae.config import Config

GENERATIVE = ("vae", "rhvae", "manifold")
"""Methods that train generative models."""


@dataclass(frozen=True)
class Study:
    """What runs are made of and scored on: sets, and `(load, num_examples) -> batches` of the pipeline."""

    sets: Mapping[str, ImageSet]
    make_batches: Callable[[Any, int], Callable[[int], pipeline.Batches]]

    @property
    def class_images(self) -> list[np.ndarray]:
        """The raw images of every generative model: set by set, class by class."""
        return [images for one in self.sets.values() for images in one.train_by_class()]


def built_in_name(config: Config) -> str:
    """The digits are real handwriting, the brains are drawn."""
    return "scikit-learn digits" if config.source == "characters" else PHANTOM


def set_names(config: Config) -> tuple[str, ...]:
    """Of the source."""
    return small_sets.CHARACTER_SETS if config.source == "characters" else ("brains",)


def num_classes(config: Config) -> int:
    """Of every set of the source."""
    return 10 if config.source == "characters" else 2


def num_models(config: Config) -> int:
    """Generative models of a run: one per set and class."""
    return len(set_names(config)) * num_classes(config)


def modes(config: Config) -> tuple[str, ...]:
    """How classifiers are trained: with the raw data beside the augmented ones, and on these alone."""
    return ("with raw",) if config.method == "raw" else ("with raw", "alone")


def num_classifiers(config: Config) -> int:
    """Classifiers of one kind: by set, mode and run."""
    return len(set_names(config)) * len(modes(config)) * config.num_runs


def generator_batch(config: Config, count: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Images (batch, count models, height, width, 1) and their weights (batch, models)."""
    return _batch(config, count, "weight", np.float32)


def classifier_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """Images (batch, classifiers, height, width, 1) and their classes (batch, classifiers)."""
    return _batch(config, num_classifiers(config), "label", np.int32)


def _batch(config: Config, count: int, beside: str, dtype: Any) -> dict[str, jax.ShapeDtypeStruct]:
    shape = (config.batch_size, count)
    image = jax.ShapeDtypeStruct((*shape, *config.image_shape, 1), np.float32)
    return {"image": image, beside: jax.ShapeDtypeStruct(shape, dtype)}


def example_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """A batch of the method's own training: of its generative models, or else of its classifiers."""
    if config.method in GENERATIVE:
        return generator_batch(config, num_models(config))
    return classifier_batch(config)


def make_data(
    config: Config,
    *,
    seed: int,
    data_dir: Path | None,
    cache_dir: Path,
    executor: pipeline.Executor = "auto",
    process_index: int = 0,
    process_count: int = 1,
    max_bad_cases: int = 0,
) -> Data:
    """Reads the sets (`data_pipelines.small_sets`); small ones, so that nothing is cached or left out."""

    def make_batches(load: Any, num_examples: int) -> Callable[[int], pipeline.Batches]:
        plan = IndexPlan(num_examples, config.batch_size, seed)
        options = {"process_index": process_index, "process_count": process_count}
        return lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options)

    if config.source == "characters":
        sets = small_sets.character_sets(config.num_raw, config.image_shape, data_dir)
    else:
        sets = small_sets.brain_sets(config.image_shape, data_dir)
    study = Study(sets, make_batches)
    load = side_by_side.whole_batches(study.class_images, config.batch_size)
    if config.method not in GENERATIVE:
        each = len(modes(config)) * config.num_runs
        load = side_by_side.random_batches([one.train for one in sets.values() for _ in range(each)])
    name = built_in_name(config) if data_dir is None else data_dir.resolve().name
    return Data(name, make_batches(load, config.batch_size), study)
