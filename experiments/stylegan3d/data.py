"""Heads on the grid of the networks: the phantom, or any folder."""

from pathlib import Path

import jax
import numpy as np

from data_pipelines import head_study, pipeline
from data_pipelines.head_study import HeadStudy
from data_pipelines.index_plan import IndexPlan
from experiments.contract import PHANTOM, Data
from experiments.stylegan3d.config import Config
from jaxmed.metrics.ventricles import ventricle_ml


def example_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """`volume` (batch, *shape, 1), bytes; for a feature network `label` (batch,): 1 for large ventricles."""
    batch = {"volume": jax.ShapeDtypeStruct((config.batch_size, *config.networks.shape, 1), np.uint8)}
    if config.study == "features":
        batch["label"] = jax.ShapeDtypeStruct((config.batch_size,), np.int32)
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
    labels = large_ventricles(config, study) if config.study == "features" else {}

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        case = study.train[index]
        label = {"label": np.asarray(labels[case], np.int32)} if labels else {}
        return {"volume": study.arrays[case]["image"][..., None], **label}

    plan = IndexPlan(len(study.train), config.batch_size, seed)
    options = {"process_index": process_index, "process_count": process_count}
    return Data(
        PHANTOM if data_dir is None else data_dir.resolve().name,
        lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options),
        study,
        describe=lambda step: [study.train[index] for index in plan.indices(step)],
        bad_cases=study.left_out,
    )


def large_ventricles(config: Config, study: HeadStudy) -> dict[str, int]:
    """Labels of a feature network: by the phantom's exact volumes, of other heads by measured ones."""
    return study.large_ventricles(lambda image: ventricle_ml(image, config.networks.voxel_mm))
