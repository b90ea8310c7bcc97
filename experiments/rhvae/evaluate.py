"""Accuracies of the classifiers on the test images."""

import jax.numpy as jnp
import numpy as np

from data_pipelines.image_study import ImageStudy
from experiments.contract import Data, Scores
from experiments.rhvae import classifiers
from experiments.rhvae.config import Config
from experiments.rhvae.data import num_classes
from jaxmed.algorithms import replica_groups
from jaxmed.metrics import classification


def metric_name(column: str, mode: str) -> str:
    """Name of a column: a set, or a classifier of brains; with the raw data, or alone."""
    return f"{column}, {mode}"


def evaluate(config: Config, state, data: Data) -> Scores:
    """Accuracy by set of characters, balanced accuracy of other images, in percent, by mode and run.

    Brains are scored by classifier. Also "acceptance", the share of the sampler's proposals that were taken.
    """
    study: ImageStudy = data.evaluation
    scores: dict[str, dict[str, float]] = {"acceptance": {"all": float(state.acceptance)}}
    images, labels = study.images("test"), study.labels("test")
    for kind in classifiers.kinds(config):
        model = classifiers.make_model(config, kind)
        for name, logits in replica_groups.predict(model, state.classifiers[kind], images).items():
            values = [_score(config, run, labels[name]) for run in np.asarray(jnp.argmax(logits, axis=-1))]
            column = kind if config.source == "brains" else name
            # Raw data have nothing beside them: with and alone are the same classifiers.
            own = values[: config.num_runs], values[-config.num_runs :]
            for mode, runs in zip(("with raw", "alone"), own, strict=True):
                scores[metric_name(column, mode)] = {f"run {k}": value for k, value in enumerate(runs)}
    return scores


def _score(config: Config, predicted: np.ndarray, labels: np.ndarray) -> float:
    if config.source == "characters":
        return 100 * float(np.mean(predicted == labels))
    return 100 * classification.balanced_accuracy(predicted, labels, num_classes(config))
