"""The sets of the study, and batches of generative models and of classifiers."""

from pathlib import Path

import jax
import numpy as np

from data_pipelines import pipeline, side_by_side, small_sets
from data_pipelines.image_study import open_study
from experiments.contract import PHANTOM, Data
from experiments.rhvae.config import Config
from jaxmed.algorithms import replicas

GENERATIVE = ("vae", "rhvae", "manifold")
"""Methods that train generative models."""


def built_in_name(config: Config) -> str:
    """The digits are real handwriting, the brains are drawn."""
    return "scikit-learn digits" if config.source == "characters" else PHANTOM


def set_names(config: Config) -> tuple[str, ...]:
    """Of the source."""
    return small_sets.SETS[config.source]


def num_classes(config: Config) -> int:
    """Of every set of the source."""
    return {"characters": 10, "brains": 2}.get(config.source, config.num_classes)


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
    image = ((*config.shape, 1), np.float32)
    return replicas.batch_shapes(config.batch_size, count, image=image, weight=((), np.float32))


def classifier_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """Images (batch, classifiers, height, width, 1) and their classes (batch, classifiers)."""
    image, count = ((*config.shape, 1), np.float32), num_classifiers(config)
    return replicas.batch_shapes(config.batch_size, count, image=image, label=((), np.int32))


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
    """Reads the sets (`data_pipelines.small_sets`); small ones, so that nothing is left out.

    Raises:
        ReadError: a file is missing or damaged, or images do not suit the config.
    """
    cache, shape, classes = cache_dir / "rhvae", config.shape, num_classes(config)
    sets = small_sets.read_sets(config.source, data_dir, cache, shape, config.num_raw, classes)
    processes = {"process_index": process_index, "process_count": process_count}
    study = open_study(sets, config.batch_size, seed, executor=executor, **processes)
    load = side_by_side.whole_batches(study.class_images, config.batch_size)
    if config.method not in GENERATIVE:
        each = len(modes(config)) * config.num_runs
        load = side_by_side.random_batches([one.train for one in sets.values() for _ in range(each)])
    name = built_in_name(config) if data_dir is None else data_dir.resolve().name
    return Data(name, study.make_batches(load, config.batch_size), study)
