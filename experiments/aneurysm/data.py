"""Patches about chosen centres for training, whole volumes for testing: the phantom, or real data."""

from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from data_pipelines import annotated_angiograms, cache, pipeline, sphere_patches, splits
from data_pipelines.index_plan import IndexPlan
from data_pipelines.sphere_patches import Cases
from experiments.aneurysm.config import Config
from experiments.contract import PHANTOM, Data
from jaxmed.augment import warp

_SPLIT_SEED = 22
"""The folds do not depend on the seed of a run."""


@dataclass(frozen=True)
class Evaluation:
    """What a run is scored on.

    Attributes:
        arrays: by name of a case, what `sphere_patches.prepare` gives.
        test: the cases of this fold.
        validation: cases kept out of training and test.
    """

    arrays: Cases
    test: tuple[str, ...]
    validation: tuple[str, ...]


def context_shape(config: Config) -> tuple[int, ...]:
    """Of the box around a patch, which no draw of its augmentation leaves."""
    return warp.context_size((config.patch_size,) * 3, **limits(config))


def limits(config: Config) -> dict[str, float]:
    """Of the augmentation, in voxels and degrees."""
    return {
        "max_degrees": config.max_degrees,
        "max_shift": config.max_shift_mm / config.voxel_mm,
        "max_distortion": config.max_distortion_mm / config.voxel_mm,
    }


def example_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """Boxes around patches, stored values; spheres about their middles; how far lattices may be distorted."""
    count = config.batch_size
    return {
        "image": jax.ShapeDtypeStruct((count, *context_shape(config)), np.int16),
        "spheres": jax.ShapeDtypeStruct((count, sphere_patches.NUM_SPHERES, 4), np.float32),
        "distortion": jax.ShapeDtypeStruct((count,), np.float32),
    }


def find_angiograms(config: Config, data_dir: Path | None) -> annotated_angiograms.AngiogramSet:
    """The phantom, or the angiograms of a data directory."""
    names = ("voxel_mm", "num_negatives", "min_distance_mm")
    preparation = annotated_angiograms.Preparation(*(getattr(config, name) for name in names))
    if data_dir is not None:
        return annotated_angiograms.files(data_dir, preparation, at_least=config.num_folds)
    sizes = config.phantom
    return annotated_angiograms.phantom(sizes.num_cases, (sizes.depth, sizes.size, sizes.size), preparation)


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
    """Opens the data, preparing what is not in the cache yet; arguments as `Experiment.make_data` says.

    Returns:
        Batches of boxes around the patches of the training cases, each copy of each patch once per epoch, and
        an `Evaluation`.
    """
    source = find_angiograms(config, data_dir)
    split = splits.k_fold(
        source.cases, config.num_folds, config.fold, num_validation=config.num_validation, seed=_SPLIT_SEED
    )
    arrays = cache.open_source(cache_dir / "aneurysm", source, source.cases, split.train, max_bad_cases)
    copies = config.few_duplicates if config.method == "few_duplicates" else config.num_duplicates
    negatives = config.few_negatives if config.method == "few_negatives" else config.num_negatives
    train = [case for case in split.train if case in arrays]
    centres, size = sphere_patches.list_centres(arrays, train, negatives, copies), context_shape(config)
    distortion = 0.0 if config.method == "undistorted" else limits(config)["max_distortion"]

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        amount = distortion if centres[index].is_positive else 0.0
        return {
            **sphere_patches.cut(arrays, centres[index], size),
            "distortion": np.array(amount, np.float32),
        }

    plan = IndexPlan(len(centres), config.batch_size, seed)
    options = {"process_index": process_index, "process_count": process_count}
    return Data(
        PHANTOM if data_dir is None else data_dir.resolve().name,
        lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options),
        Evaluation(arrays, split.test, split.validation),
        describe=lambda step: [f"{centres[i].case} at {centres[i].voxel}" for i in plan.indices(step)],
        bad_cases=tuple(arrays.left_out),
    )
