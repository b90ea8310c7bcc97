"""Heads on the grid of the networks: the phantom, or any folder."""

from pathlib import Path

import jax
import numpy as np

from data_pipelines import head_study, pipeline
from data_pipelines.index_plan import IndexPlan
from experiments.contract import PHANTOM, Data
from experiments.stylegan3d.config import Config


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
    """Opens the data; arguments as in `contract.Experiment`. Evaluation is a `HeadStudy`."""
    study = head_study.open_study(
        data_dir,
        cache_dir / "stylegan3d",
        config.networks.shape,
        num_train=config.num_train,
        num_test=config.num_test,
        test_share=config.test_share,
        max_bad_cases=max_bad_cases,
    )

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        return {"volume": study.arrays[study.train[index]]["image"][..., None]}

    plan = IndexPlan(len(study.train), config.batch_size, seed)
    options = {"process_index": process_index, "process_count": process_count}
    return Data(
        PHANTOM if data_dir is None else data_dir.resolve().name,
        lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options),
        study,
        describe=lambda step: [study.train[index] for index in plan.indices(step)],
        bad_cases=study.left_out,
    )
