"""Tables 1 and 2 of the paper, their claims, and Figs. 1 and 2."""

import functools
from dataclasses import replace

from experiments.activelearn import figures
from experiments.activelearn.config import Config, StudyName, choose
from experiments.contract import Claim, Published, Row, Table
from jaxmed.active.acquisition import Sampling, Scoring

_SAMPLINGS: dict[Sampling, str] = {
    "top_n": "Top-N",
    "mixture": "Mixture",
    "k_nearest": "K-Nearest",
    "core_set": "Core-Set",
    "published_top_n": "Top-N, published code",
    "published_mixture": "Mixture, published code",
    "one_shot": "Core-Set, published code",
}
_SCORINGS: dict[Scoring, str] = {"margin": "margin", "confidence": "confidence", "emc": "EMC"}

# Test accuracy in percent as printed: by sampling, for margin, confidence and EMC.
_PRINTED: dict[StudyName, dict[Sampling, tuple[float, ...]]] = {
    "balanced": {
        "random": (73.53,),
        "top_n": (75.72, 75.87, 75.16),
        "mixture": (78.47, 77.77, 77.44),
        "k_nearest": (79.79, 81.04, 81.00),
        "core_set": (82.02, 81.29, 81.95),
    },
    "unbalanced": {
        "random": (86.99,),
        "top_n": (84.50, 83.53, 82.03),
        "mixture": (86.23, 85.73, 85.47),
        "k_nearest": (88.77, 87.53, 85.60),
        "core_set": (89.86, 90.87, 89.9),
    },
}

_LARGEST, _SMALLEST = "share of the largest class", "share of the smallest class"


def _label(sampling: Sampling, scoring: Scoring) -> str:
    return f"{_SAMPLINGS[sampling]} {_SCORINGS[scoring]}" if sampling in _SAMPLINGS else "Random"


def rows(study: StudyName, preset: Config) -> tuple[Row, ...]:
    """Random sampling, and each other sampling with each scoring: those of the paper first."""
    config, printed = choose(preset, study), _PRINTED[study]
    made = [Row("Random", (replace(config, sampling="random"),), {"accuracy": Published(*printed["random"])})]
    for sampling in _SAMPLINGS:
        for number, scoring in enumerate(_SCORINGS):
            published = {"accuracy": Published(printed[sampling][number])} if sampling in printed else {}
            method = replace(config, sampling=sampling, scoring=scoring)
            made.append(Row(_label(sampling, scoring), (method,), published))
    return tuple(made)


def _ordered(metric: str, *pairs: tuple[Sampling, Sampling]) -> list[Claim]:
    """The first sampling of each pair above the second, with each scoring."""
    return [
        Claim(f"{metric}: {left} above {right}", metric, left, right)
        for better, worse in pairs
        for scoring in _SCORINGS
        for left, right in [(_label(better, scoring), _label(worse, scoring))]
    ]


def _scorings_are_alike() -> list[Claim]:
    """Margins between scorings are similar: within 3.2 points, the largest of the paper's tables."""
    pairs = [
        (f"{name} {first}", f"{name} {second}")
        for name in ("Top-N", "Core-Set")
        for first, second in (("confidence", "margin"), ("margin", "confidence"))
    ]
    return [
        Claim(f"accuracy: {left} at most 3.2 points below {right}", "accuracy", left, right, margin=-3.2)
        for left, right in pairs
    ]


_BALANCED_CLAIMS = (
    *_ordered("accuracy", ("top_n", "random"), ("mixture", "top_n"), ("k_nearest", "mixture")),
    *_ordered("accuracy", ("core_set", "k_nearest"), ("core_set", "random")),
    *_scorings_are_alike(),
)

_ON_UNBALANCED: tuple[tuple[Sampling, Sampling], ...] = (
    ("core_set", "k_nearest"),
    ("core_set", "random"),
    ("k_nearest", "random"),
    ("random", "mixture"),
    ("random", "top_n"),
    ("random", "published_mixture"),
    ("random", "published_top_n"),
)

_UNBALANCED_CLAIMS = (
    *_ordered("accuracy", *_ON_UNBALANCED),
    *_ordered("balanced accuracy", *_ON_UNBALANCED),
    *_scorings_are_alike(),
    *_ordered(_LARGEST, ("top_n", "random"), ("published_top_n", "random"), ("top_n", "core_set")),
    *_ordered(_SMALLEST, ("core_set", "random")),
)


def _table(study: StudyName, claims: tuple[Claim, ...], paper: str) -> Table:
    return Table(
        caption="Test accuracy in percent after the last round; shares of classes in percent of what was "
        f"queried. The paper: {paper}.",
        metrics=("accuracy", "balanced accuracy", _LARGEST, _SMALLEST),
        rows=functools.partial(rows, study),
        claims=claims,
        figures=figures.draw_figures,
    )


TABLES = {
    "table1": _table("balanced", _BALANCED_CLAIMS, "CIFAR-10, ResNet-18, 40 % of the data labelled"),
    "table2": _table("unbalanced", _UNBALANCED_CLAIMS, "COVID-19 radiographs, MobileNetV2, 40 % labelled"),
}
