"""Draws what was queried by round and class, and accuracy by round, from finished runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.contract import FinishedRow
from jaxmed.report import rounds
from jaxmed.report.figures import save

_METRICS = ("accuracy", "balanced accuracy")


def draw_figures(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws Figs. 1 (Top-N) and 2 (Core-Set), the others likewise, and accuracies by round: means of runs."""
    classes = [
        name.removeprefix("queried ").removesuffix(", round 0")
        for name in rows[0].replicates[0]
        if name.startswith("queried ") and name.endswith(", round 0")
    ]
    groups = {
        "fig1-top-n": [row for row in rows if row.row.label.startswith(("Random", "Top-N"))],
        "fig2-core-set": [row for row in rows if row.row.label.startswith(("Random", "Core-Set"))],
        "queried-others": [row for row in rows if row.row.label.startswith(("K-Nearest", "Mixture"))],
    }
    drawn = {
        name: rounds.draw_class_counts(
            {row.row.label: _counts(row, classes) for row in group}, classes, "queried images"
        )
        for name, group in groups.items()
    }
    samplings: dict[str, list[FinishedRow]] = {}
    for row in rows:
        samplings.setdefault(row.row.label.rpartition(" ")[0] or row.row.label, []).append(row)
    curves = {
        f"{metric}, %": {
            name: np.mean([_by_round(row, metric) for row in group], axis=0)
            for name, group in samplings.items()
        }
        for metric in _METRICS
    }
    drawn["accuracy-by-round"] = rounds.draw_by_round(curves)
    return [save(figure, directory / f"{name}.png") for name, figure in drawn.items()]


def _by_round(row: FinishedRow, metric: str) -> np.ndarray:
    """(rounds,) means over the runs, round 0 first."""
    count = sum(name.startswith("accuracy, round ") for name in row.replicates[0])
    names = [f"{metric}, round {k}" for k in range(count)]
    return np.mean([[scores[name]["all"] for name in names] for scores in row.replicates], axis=0)


def _counts(row: FinishedRow, classes: Sequence[str]) -> np.ndarray:
    """(rounds, classes) without the random start."""
    return np.stack([_by_round(row, f"queried {name}")[1:] for name in classes], axis=1)
