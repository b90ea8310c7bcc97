"""Dice coefficients of the target's test cases, and the network as a function of windows."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines.imaging_sets import SETS
from experiments.contract import Data, Inference, Scores
from experiments.fsnet.algorithm import first_labels, make_model, trained_sets
from experiments.fsnet.config import Config
from experiments.fsnet.data import Study
from jaxmed.infer.sliding_window import make_sliding_window
from jaxmed.losses.joint_classes import own_classes
from jaxmed.metrics import overlap
from jaxmed.models.fsnet import FSNet

MEAN = "mean of classes"
"""The one score that all scenarios have."""


def evaluate(config: Config, state, data: Data) -> Scores:
    """Scores a run by case of the target.

    Returns:
        Under the name of each class, such as "BP", the Dice coefficient in percent of the test cases, and
        their mean under `MEAN`; where cases were kept out, the same under "validation <class>".
    """
    study: Study = data.evaluation
    segment = make_segmenter(config, state)
    scores: dict[str, dict[str, float]] = {}
    for prefix, cases in (("", study.split.test), ("validation ", study.split.validation)):
        for case in cases:
            arrays = study.target[case]
            found = dice_by_class(config, segment(arrays["image"]), arrays["label"])
            for name, value in {**found, MEAN: sum(found.values()) / len(found)}.items():
                scores.setdefault(prefix + name, {})[case] = value
    return scores


def dice_by_class(config: Config, found: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Dice coefficients in percent of the target's classes."""
    classes = SETS[config.chosen.sets[0]].classes
    return {
        name: float(100 * overlap.dice(found == number, label == number))
        for number, name in enumerate(classes, 1)
    }


def make_inference(config: Config, state) -> Inference:
    """The trained network as a function of the target's patches."""
    target = config.chosen.sets[0]
    one = SETS[target]
    names = trained_sets(config)
    model: Any = make_model(config, names)
    return Inference(
        function=_probabilities(model, first_labels(names)[0], len(one.classes)),
        variables=state.net.variables,
        input_shape=("batch", *config.chosen.patch, len(one.sequences)),
        input_dtype="float32",
        inputs=f"patches of {', '.join(one.sequences)}, of mean 0 and deviation 1 over each volume's object",
        outputs=f"probabilities of background, {', '.join(one.classes)} per voxel",
    )


@functools.lru_cache(maxsize=16)
def _probabilities(model: FSNet, first: int, count: int) -> Callable:
    """The same network gives the same function, which is then compiled once for all seeds."""

    def probabilities(variables, windows):
        logits: Any = model.apply(variables, windows.astype(jnp.float32), 0, method="segment")
        own = own_classes(jax.nn.softmax(logits, axis=-1), first, count)
        # What the network takes for a class of another data set is none of the target's.
        return own / jnp.maximum(own.sum(-1, keepdims=True), 1e-9)

    return probabilities


def make_segmenter(config: Config, state) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a standardised volume (depth, height, width, channels) of the target to its labels."""
    network = make_inference(config, state)
    probabilities = make_sliding_window(
        network.function, network.variables, config.chosen.patch, config.batch_size, overlap=config.overlap
    )
    return lambda volume: probabilities(volume).argmax(-1).astype(np.uint8)
