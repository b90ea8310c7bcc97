"""A plane over the logarithms of two counts, fitted to scores, with F tests of its slopes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxmed.metrics import regression

TESTED = {"alpha_a = 0": (0,), "alpha_t = 0": (1,), "alpha_a = alpha_t = 0": (0, 1)}
"""Hypotheses, by the columns of the design that they set to 0."""

Cells = Mapping[tuple[int, int], Sequence[float] | np.ndarray]
"""Scores by the two counts."""


class LogPlane(NamedTuple):
    """f(a, t) = alpha_a log(a) + alpha_t log(t) + beta, with natural logarithms.

    Attributes:
        alpha_a: slope along log(a).
        alpha_t: slope along log(t).
        beta: constant.
        tests: by hypothesis.
    """

    alpha_a: float
    alpha_t: float
    beta: float
    tests: dict[str, regression.FTest]

    def at(self, a: int, t: int) -> float:
        """The fitted value; NaN where a count is 0."""
        return (
            float(self.alpha_a * np.log(a) + self.alpha_t * np.log(t) + self.beta)
            if a and t
            else float("nan")
        )


def fit_log_plane(cells: Cells) -> LogPlane | None:
    """Fits the plane by least squares over all scores of the cells without a count of 0.

    Args:
        cells: by counts (a, t), one score or more.

    Returns:
        The fit, or None where the cells do not determine it.

    Reference: Laprade et al., How Few Annotations are Needed for Segmentation Using a Multi-planar U-Net?,
    equation 1.
    """
    triples = [(*cell, score) for cell, scores in cells.items() if min(cell) > 0 for score in scores]
    a, t, response = np.array(triples, np.float64).reshape(-1, 3).T
    design = np.column_stack([np.log(a), np.log(t), np.ones(len(triples))])
    try:
        found = regression.fit_linear(design, response).coefficients
        tests = {name: regression.f_test(design, response, tested) for name, tested in TESTED.items()}
    except ValueError:
        return None
    alpha_a, alpha_t, beta = map(float, found)
    return LogPlane(alpha_a, alpha_t, beta, tests)


def sample_std(scores: Sequence[float] | np.ndarray) -> float:
    """Sample standard deviation; NaN of a single score."""
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else float("nan")


STATISTICS = {"mean": np.mean, "std": sample_std}
"""Of the scores of a cell."""


def fit_statistics(cells: Cells) -> dict[str, LogPlane | None]:
    """Fits a plane to all scores ("mean"), and one to the standard deviations of the cells ("std").

    Args:
        cells: as in `fit_log_plane`; those with a single score have no deviation.

    Returns:
        By name in `STATISTICS`, as `fit_log_plane` gives it.
    """
    spreads = {cell: [sample_std(scores)] for cell, scores in cells.items() if len(scores) > 1}
    return {"mean": fit_log_plane(cells), "std": fit_log_plane(spreads)}


def to_markdown(planes: Mapping[str, LogPlane | None]) -> str:
    """A table of planes by name, with F, degrees of freedom and p of every test."""
    tests = " | ".join(f"{name}: F, p" for name in TESTED)
    lines = [f"|  | alpha_a | alpha_t | beta | {tests} |", "|" + "---|" * (4 + len(TESTED))]
    for name, plane in planes.items():
        if plane is None:
            continue
        numbers = [f"{number:.4f}" for number in plane[:3]]
        found = [
            f"F({t.numerator}, {t.denominator}) = {t.f:.3g}, p = {t.p:.2g}" for t in plane.tests.values()
        ]
        lines.append("| " + " | ".join([name, *numbers, *found]) + " |")
    return "\n".join(lines) + "\n"
