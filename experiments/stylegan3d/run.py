"""The run: one training, shared by all runs that only look at other things afterwards."""

from experiments.contract import Data, Stages
from experiments.stylegan3d.algorithm import make_algorithm
from experiments.stylegan3d.config import Config, training_config
from experiments.stylegan3d.data import example_batch
from experiments.stylegan3d.evaluate import feature_networks
from jaxmed.algorithms.gan import GanState


def run(config: Config, data: Data, stages: Stages) -> GanState:
    """Trains, unless what would score the run cannot be read."""
    feature_networks(config.evaluation)
    return stages.fit(
        "training",
        make_algorithm(config, data),
        data.batches,
        num_steps=config.num_steps,
        example_batch=example_batch(config),
        describe=data.describe,
        shared=training_config(config),
    )
