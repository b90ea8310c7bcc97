"""The run of a cell: all repeats trained, the best parameters of each kept."""

from typing import Any

import jax.numpy as jnp
from flax import struct

from experiments.contract import Data, Stages
from experiments.mpunet.algorithm import make_algorithm, make_model, masked_loss
from experiments.mpunet.config import Config
from experiments.mpunet.data import Study, example_batch
from jaxmed.algorithms import replicas


@struct.dataclass
class CellState:
    """Attributes: step; variables of the repeats' best networks, stacked; their validation losses."""

    step: Any
    variables: Any
    validation_loss: Any


def run(config: Config, data: Data, stages: Stages) -> CellState:
    """Trains, looking at the validation planes now and then."""
    study: Study = data.evaluation
    images, labels = (jnp.asarray(array)[..., None] for array in study.validation)
    algorithm = replicas.keep_best(
        make_algorithm(config, data),
        lambda variables: replicas.mean_losses(make_model(config), masked_loss, variables, images, labels),
        refresh_every=config.validate_every,
    )
    state = stages.fit(
        "repeats", algorithm, data.batches, num_steps=config.num_steps, example_batch=example_batch(config)
    )
    assert algorithm.refresh is not None
    kept = algorithm.refresh(state)
    return CellState(jnp.asarray(config.num_steps, jnp.int32), kept.best, kept.best_loss)


def init_state(config: Config, key: Any) -> CellState:
    """An untrained state of the same shapes."""
    shapes = example_batch(config).items()
    zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes}
    members = make_algorithm(config, None).init(key, zeros).members
    loss = jnp.zeros(config.num_repeats)
    return CellState(jnp.zeros((), jnp.int32), members.net.variables, loss)
