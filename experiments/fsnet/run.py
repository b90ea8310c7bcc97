"""The stages of a run: pre-training where the method has it, then training."""

import jax
import jax.numpy as jnp

from experiments.contract import Data, Stages
from experiments.fsnet.algorithm import make_algorithm, make_training
from experiments.fsnet.config import Config
from experiments.fsnet.data import Study, example_batch
from jaxmed.algorithms.supervised import SupervisedState
from jaxmed.train import net


def run(config: Config, data: Data, stages: Stages) -> SupervisedState:
    """Trains; pre-training on the other data sets takes as many steps again, before."""
    algorithm, options = make_algorithm(config, data), {}
    if config.method == "pretraining":
        options["state"] = _pretrain(config, data, stages)
    else:
        options["example_batch"] = example_batch(config)
    return stages.fit("training", algorithm, data.batches, num_steps=config.num_steps, **options)


def _pretrain(config: Config, data: Data, stages: Stages) -> SupervisedState:
    """The first state of the target's training: pre-trained but for the U-Net's head and the optimizer."""
    study: Study = data.evaluation
    others = config.chosen.sets[1:]
    trained = stages.fit(
        "pretraining",
        make_training(config, others),
        study.batches(others),
        num_steps=config.num_steps,
        example_batch=example_batch(config, others),
    )
    zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in example_batch(config).items()}
    fresh = jax.jit(make_algorithm(config, data).init)(stages.key("head"), zeros)
    params = net.transfer(trained.net.params, fresh.net.params, but="head")
    return fresh.replace(net=fresh.net.replace(params=params))
