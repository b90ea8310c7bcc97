"""Labelled cases for training and pairs of kernels for testing: the phantom, or real data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from data_pipelines import cache, pipeline, splits
from data_pipelines.index_plan import IndexPlan
from experiments.contract import PHANTOM, Data
from experiments.fbpaug import sources
from experiments.fbpaug.config import Config

_SPLIT_SEED = 42
"""Of the released code; the folds do not depend on the seed of a run."""


@dataclass(frozen=True)
class Evaluation:
    """What a run is scored on.

    Attributes:
        arrays: by name of a case, `image` and `label`; by name of a pair, `smooth` and `sharp`; all
            (depth, height, width); and `voxel_ml`, the volume of a voxel.
        test: the labelled cases of this fold.
        validation: labelled cases kept out of training and test.
        pairs: all pairs.
    """

    arrays: Mapping[str, Mapping[str, np.ndarray]]
    test: tuple[str, ...]
    validation: tuple[str, ...]
    pairs: tuple[str, ...]


def example_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """Slices in whole HU and their masks, (batch, height, width)."""
    shape = (config.batch_size, config.image_size, config.image_size)
    return {
        "image": jax.ShapeDtypeStruct(shape, np.int16),
        "label": jax.ShapeDtypeStruct(shape, np.uint8),
    }


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
    """Opens the data, preparing what is not in the cache yet.

    Args:
        config: sizes, fold, and the phantom's size.
        seed: order of the training slices.
        data_dir: real data (layout: `real_data.find_files`), or None for the phantom.
        cache_dir: where prepared volumes are kept.
        executor: what loads the batches.
        process_index: number of this process.
        process_count: how many processes share each batch.
        max_bad_cases: how many training cases may be left out because they cannot be read.

    Returns:
        Batches of single slices from the training cases of the fold, each slice once per epoch, and an
        `Evaluation`.
    """
    source = _find(config, data_dir)
    split = splits.k_fold(
        source.cases, config.num_folds, config.fold, num_validation=config.num_validation, seed=_SPLIT_SEED
    )
    arrays = cache.open_source(
        cache_dir / "fbpaug", source, source.cases + source.pairs, split.train, max_bad_cases
    )
    train = [case for case in split.train if case in arrays]
    slices = [(case, index) for case in train for index in range(len(arrays[case]["image"]))]

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        case, position = slices[index]
        return {name: arrays[case][name][position] for name in ("image", "label")}

    plan = IndexPlan(len(slices), config.batch_size, seed)
    options = {"process_index": process_index, "process_count": process_count}
    return Data(
        PHANTOM if data_dir is None else data_dir.resolve().name,
        lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options),
        Evaluation(arrays, split.test, split.validation, tuple(source.pairs)),
        describe=lambda step: ["{} slice {}".format(*slices[index]) for index in plan.indices(step)],
        bad_cases=tuple(arrays.left_out),
    )


def _find(config: Config, data_dir: Path | None) -> sources.Source:
    if data_dir is None:
        return sources.phantom(config)
    from experiments.fbpaug import real_data  # the phantom must run without the medical readers

    return real_data.files(config, data_dir)
