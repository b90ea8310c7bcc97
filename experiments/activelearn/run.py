"""The rounds: train, score the pool, choose what to label, and train anew."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from experiments.activelearn.algorithm import make_algorithm
from experiments.activelearn.config import Config, without_method
from experiments.activelearn.data import Pool, example_batch
from experiments.activelearn.evaluate import measure, predict_images
from experiments.contract import Data, Stages
from jaxmed.active import acquisition
from jaxmed.types import Leaf


@struct.dataclass
class StudyState:
    """The network of the last round, and what was found in all of them.

    Attributes: `accuracy` and `balanced_accuracy` (rounds,) in [0, 1]; `queried` (rounds, classes) counts.
    """

    step: Leaf
    net: Any
    accuracy: Leaf
    balanced_accuracy: Leaf
    queried: Leaf


def init_state(config: Config, key: jax.Array) -> StudyState:
    """An untrained network and no findings."""
    zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in example_batch(config).items()}
    state = make_algorithm(config, None).init(key, zeros)
    rounds, classes = config.num_rounds + 1, config.chosen.num_classes
    none = jnp.zeros(rounds, jnp.float32)
    return StudyState(state.step, state.net, none, none, jnp.zeros((rounds, classes), jnp.int32))


def run(config: Config, data: Data, stages: Stages) -> StudyState:
    """Carries out all rounds; the first one is the same for all methods, which share it."""
    pool: Pool = data.evaluation
    algorithm = make_algorithm(config, data)
    labelled, added, found, state = pool.start, [pool.start], [], None
    for number in range(config.num_rounds + 1):
        shared = None if number else without_method(config)
        if number:
            query = functools.partial(_query, config, pool, state, labelled, stages.key(f"query-{number}"))
            added.append(stages.keep(f"query-{number}", query)["chosen"])
            labelled = np.concatenate([labelled, added[-1]])
        state = stages.fit(
            f"round-{number}",
            algorithm,
            pool.batches(labelled),
            num_steps=config.num_steps,
            example_batch=example_batch(config),
            shared=shared,
        )
        found.append(
            stages.keep(f"scores-{number}", functools.partial(measure, config, state, data), shared=shared)
        )
    assert state is not None
    labels, classes = pool.images.labels[pool.pool], config.chosen.num_classes
    return StudyState(
        step=state.step,
        net=state.net,
        accuracy=jnp.array([scores["accuracy"] for scores in found], jnp.float32),
        balanced_accuracy=jnp.array([scores["balanced accuracy"] for scores in found], jnp.float32),
        queried=jnp.array([np.bincount(labels[part], minlength=classes) for part in added], jnp.int32),
    )


def _query(config: Config, pool: Pool, state, labelled: np.ndarray, key: jax.Array) -> dict[str, np.ndarray]:
    """Chooses what to label next, as positions in the pool."""
    chosen = acquisition.select(
        *map(jnp.asarray, predict_images(config, state, pool.images.images, pool.pool)),
        jnp.asarray(labelled),
        key,
        sampling=config.sampling,
        scoring=config.scoring,
        num_queries=pool.num_queries,
    )
    return {"chosen": np.asarray(chosen)}
