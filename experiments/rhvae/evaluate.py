"""Accuracies of the classifiers on the test images."""

import jax.numpy as jnp
import numpy as np

from experiments.contract import Data, Scores
from experiments.rhvae import classifiers
from experiments.rhvae.config import Config
from experiments.rhvae.data import Study, modes, num_classes
from jaxmed.metrics import classification


def metric_name(column: str, mode: str) -> str:
    """Name of a column: a set of characters, or a classifier of brains; with the raw data, or alone."""
    return f"{column}, {mode}"


def evaluate(config: Config, state, data: Data) -> Scores:
    """Accuracy by set of characters, balanced accuracy of brains by classifier, in percent, by mode and run.

    Also "acceptance", the share of the sampler's proposals that were taken.
    """
    study: Study = data.evaluation
    scores: dict[str, dict[str, float]] = {"acceptance": {"all": float(state.acceptance)}}
    for kind in classifiers.kinds(config):
        found = classifiers.predict(config, kind, state.classifiers[kind], study, "test")
        for name, logits in found.items():
            labels = study.sets[name].test.labels
            predicted = np.asarray(jnp.argmax(logits, axis=-1))
            values = [_score(config, run, labels) for run in predicted]
            column = name if config.source == "characters" else kind
            for number, mode in enumerate(("with raw", "alone")):
                # Raw data have nothing beside them: with and alone are the same classifiers.
                first = number * config.num_runs if number < len(modes(config)) else 0
                runs = values[first : first + config.num_runs]
                scores[metric_name(column, mode)] = {f"run {k}": value for k, value in enumerate(runs)}
    return scores


def _score(config: Config, predicted: np.ndarray, labels: np.ndarray) -> float:
    if config.source == "characters":
        return 100 * float(np.mean(predicted == labels))
    return 100 * classification.balanced_accuracy(predicted, labels, num_classes(config))
