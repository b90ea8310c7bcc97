"""Heads on the grid of the networks: the phantom, or any folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_pipelines import cache, head_volumes, pipeline, splits
from data_pipelines.index_plan import IndexPlan
from data_pipelines.progress import make_progress
from experiments.contract import PHANTOM, Data
from experiments.stylegan3d.config import Config

_SPLIT_SEED = 3
"""Which heads are unseen does not depend on the seed of a run."""


@dataclass(frozen=True)
class Study:
    """What runs are scored on.

    Attributes:
        arrays: by case: "image", bytes, and of phantoms "ventricle_ml".
        train: cases trained on.
        test: unseen ones.
    """

    arrays: Mapping[str, Mapping[str, np.ndarray]]
    train: tuple[str, ...]
    test: tuple[str, ...]

    def images(self, cases: tuple[str, ...]) -> np.ndarray:
        """(cases, *shape, 1) float32 in [-1, 1], as networks see them."""
        return to_range(np.stack([self.arrays[case]["image"] for case in cases])[..., None])


def to_range(volumes: Any) -> Any:
    """Bytes to [-1, 1], on the host or on the device."""
    return volumes.astype(np.float32) / 127.5 - 1


def example_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """`volume` (batch, *shape, 1), bytes."""
    return {"volume": jax.ShapeDtypeStruct((config.batch_size, *config.networks.shape, 1), np.uint8)}


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
    """Opens the data; arguments as in `contract.Experiment`."""
    shape = config.networks.shape
    if data_dir is None:
        source = head_volumes.phantoms(config.num_train + config.num_test, shape)
        train, test = source.cases[: config.num_train], source.cases[config.num_train :]
    else:
        source = head_volumes.files(data_dir, shape)
        num_test = max(2, round(config.test_share * len(source.cases)))
        split = splits.by_counts(source.cases, len(source.cases) - num_test, 0, num_test, seed=_SPLIT_SEED)
        train, test = split.train, split.test
    arrays = cache.open_cache(
        cache_dir / "stylegan3d",
        source.key,
        source.cases,
        source.build,
        may_fail=train,
        max_failures=max_bad_cases,
        progress=make_progress("preparing heads"),
    )
    study = Study(arrays, tuple(case for case in train if case in arrays), tuple(test))

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        return {"volume": arrays[study.train[index]]["image"][..., None]}

    plan = IndexPlan(len(study.train), config.batch_size, seed)
    options = {"process_index": process_index, "process_count": process_count}
    return Data(
        PHANTOM if data_dir is None else data_dir.resolve().name,
        lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options),
        study,
        describe=lambda step: [study.train[index] for index in plan.indices(step)],
        bad_cases=tuple(arrays.left_out),
    )
