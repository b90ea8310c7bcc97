"""What the tables show of a run."""

from typing import Any

import jax
import numpy as np

from experiments.contract import Data, Scores
from experiments.ganeval import networks
from experiments.ganeval.config import Config
from experiments.ganeval.data import Study
from experiments.ganeval.networks import RECIPES
from experiments.ganeval.run import StudyState, synthesise
from jaxmed.algorithms import two_sample
from jaxmed.metrics import set_comparison

JUDGED = ("recall", "specificity", "Mahalanobis distance", "Frechet distance")

HYPERPARAMETERS = ("alpha G", "alpha D", "beta 1", "beta 2", "kernel G", "kernel D", "z size")


def column(name: str, label: str) -> str:
    """Name of a number of one class."""
    return f"{name}, {label}"


def evaluate(config: Config, state: StudyState, data: Data) -> Scores:
    """All that the tables show.

    Returns:
        For every class: the four scores of `two_sample.judge` by run; the median of the largest similarities
        that `config.compared` names, by measure; of both failure modes the share of synthetic images with an
        extreme similarity and the probability of superiority over real images. Also Table 3.
    """
    study: Study = data.evaluation
    synthetic = synthesise(config, state.generators, study)
    scores: dict[str, dict[str, float]] = {}
    for number, label in enumerate(config.classes):
        pair, judges = (study.real[label].test, synthetic[label].test), judges_of(config, state, number)
        judged = two_sample.judge(networks.make_judge(config.judge), judges, *pair)
        for name in JUDGED:
            scores[column(name, label)] = {f"run {run}": float(one) for run, one in enumerate(judged[name])}
        quantiles = np.asarray(state.quantiles)[number, set_comparison.KINDS.index(config.compared)]
        for measure, own in zip(set_comparison.MEASURES, quantiles, strict=True):
            scores[column(f"median {measure}", label)] = {"all": float(np.median(own))}
        for mode, numbers in zip(set_comparison.MODES, np.asarray(state.findings)[number], strict=True):
            scores[column(f"{mode} superiority", label)] = {"all": float(numbers[0])}
            scores[column(f"{mode} share", label)] = {"all": float(numbers[1])}
    plan, recipe, scale = networks.make_plan(config), RECIPES[config.method], config.gan.rate_scale
    values = (*(scale * rate for rate in recipe.rates), *recipe.betas, *plan.kernels, plan.num_latents)
    table_3 = zip(HYPERPARAMETERS, map(float, values), strict=True)
    return scores | {name: {"all": value} for name, value in table_3}


def judges_of(config: Config, state: StudyState, number: int) -> Any:
    """Variables of the CNNs of a class, stacked."""
    runs = config.judge.num_runs
    return jax.tree.map(lambda leaf: leaf[number * runs : (number + 1) * runs], state.judges)
