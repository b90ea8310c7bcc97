"""Patches of all data sets at once, and the target's test cases: phantoms, or real data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from data_pipelines import imaging_sets, patches, pipeline, splits
from data_pipelines.imaging_sets import SETS, SetName, Source
from data_pipelines.index_plan import IndexPlan
from experiments.contract import PHANTOM, Data
from experiments.fsnet.algorithm import trained_sets
from experiments.fsnet.config import Config

_SPLIT_SEED = 21
"""Of the order of the target's cases; the split does not depend on the seed of a run."""

MakeBatches = Callable[[int], pipeline.Batches]


@dataclass(frozen=True)
class Study:
    """What runs train and are scored on.

    Attributes:
        target: the arrays `image` and `label` of the target's cases, by name.
        split: their names.
        batches: makes training batches of some data sets.
    """

    target: Mapping[str, Mapping[str, np.ndarray]]
    split: splits.Split
    batches: Callable[[Sequence[SetName]], MakeBatches]


def example_batch(config: Config, names: Sequence[SetName] | None = None) -> dict[str, jax.ShapeDtypeStruct]:
    """Patches of data sets, by default those of the method's last training: images and labels, by name.

    `image_<set>` is (batch, depth, height, width, channels), `label_<set>` (batch, depth, height, width).
    """
    shape = (config.batch_size, *config.chosen.patch)
    batch = {}
    for name in trained_sets(config) if names is None else names:
        batch[f"image_{name}"] = jax.ShapeDtypeStruct((*shape, len(SETS[name].sequences)), np.float32)
        batch[f"label_{name}"] = jax.ShapeDtypeStruct(shape, np.uint8)
    return batch


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
    """Opens all data sets of the scenario, preparing what is not in the cache yet.

    Args:
        config: the scenario and its sizes.
        seed: order of the patches and their places.
        data_dir: holds a folder for each data set (`imaging_sets.find_cases`), or None for the phantoms.
        cache_dir: where prepared volumes are kept.
        executor: what loads the batches.
        process_index: number of this process.
        process_count: how many processes share each batch.
        max_bad_cases: how many cases of each set may be left out as unreadable, but none that is scored.

    Returns:
        Batches of the method's last training, and a `Study`.
    """
    scenario, target = config.chosen, config.chosen.sets[0]
    sources = {name: _find(config, name, data_dir) for name in scenario.sets}
    num_test = scenario.num_test if data_dir is None else None
    split = splits.by_counts(
        sources[target].names, scenario.num_train, scenario.num_validation, num_test, seed=_SPLIT_SEED
    )
    used = {name: split.train if name == target else source.names for name, source in sources.items()}
    opened = imaging_sets.open_sources(cache_dir / "fsnet", sources, used, max_bad_cases)
    draws = {
        name: patches.RandomPatches(
            opened[name],
            [case for case in used[name] if case in opened[name]],
            scenario.patch,
            {"image": 0.0, "label": 0},
            patches_per_case=config.patches_per_case,
        )
        for name in scenario.sets
    }

    def batches(names: Sequence[SetName]) -> MakeBatches:
        plan = IndexPlan(len(draws[names[0]]), config.batch_size, seed)
        load = patches.draw_together({name: draws[name] for name in names})
        options = {"process_index": process_index, "process_count": process_count}
        return lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options)

    return Data(
        PHANTOM if data_dir is None else data_dir.resolve().name,
        batches(trained_sets(config)),
        Study(opened[target], split, batches),
        bad_cases=tuple(case for one in opened.values() for case in one.left_out),
    )


def _find(config: Config, name: SetName, data_dir: Path | None) -> Source:
    scenario = config.chosen
    if data_dir is not None:
        return imaging_sets.file_source(name, data_dir, scenario.pixel_mm)
    count = scenario.num_others
    if name == scenario.sets[0]:
        count = scenario.num_train + scenario.num_validation + scenario.num_test
    return imaging_sets.phantom_source(name, count, scenario.phantom_shape)
