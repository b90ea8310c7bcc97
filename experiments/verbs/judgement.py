"""From the scores of runs to the cells, verdicts and tests of a table.

A replicate is one run: one seed of one config (a fold, say). Cells pool the values of all cases of all
replicates. Claims are judged by how the difference between two rows varies over replicates. Tests pair
cases, each with its mean over the replicates that scored it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.contract import Claim, Comparison, FinishedRow, Published, Scores
from jaxmed.metrics import significance
from jaxmed.report.table import Cell, JudgedClaim, PairedTest, Verdict

_STANDARD_ERRORS = 2.0
_ROUNDING = 1e-12


def values(scores: Scores, metric: str) -> np.ndarray:
    """The values of `metric` in one run, one per case."""
    return np.array(list(scores[metric].values()), np.float64)


def cell(row: FinishedRow, metric: str) -> Cell:
    """Mean and sample standard deviation over the cases of all replicates; NaN ones are counted apart."""
    every = row.values(metric)
    pooled = every[np.isfinite(every)]
    mean = float(pooled.mean()) if pooled.size else float("nan")
    std = float(pooled.std(ddof=1)) if pooled.size > 1 else None
    return Cell(mean, std, n=pooled.size, undefined=every.size - pooled.size)


def published_cell(published: Published) -> Cell:
    """The paper's value; it does not say over how many."""
    return Cell(published.mean, published.std)


def judge(claim: Claim, rows: Mapping[str, FinishedRow]) -> JudgedClaim:
    """Judges a claim by the differences between its rows, or their gains, replicate by replicate.

    It holds if the mean difference exceeds the margin by more than two standard errors of the mean over
    the replicates, fails if it falls short by more than that, and is tied in between. With a single
    replicate there is no standard error, and none among the numbers: the sign decides, unless the difference
    is rounding.
    """
    sides = _sides(claim, rows)
    left, right = sides.values()
    differences = left - right
    count = differences.size
    spread = {"standard error": float(differences.std(ddof=1) / np.sqrt(count))} if count > 1 else {}
    excess = float(differences.mean()) - claim.margin
    numbers = {
        **{name: float(side.mean()) for name, side in sides.items()},
        "difference": float(differences.mean()),
        **spread,
        "replicates": count,
    }
    if claim.margin:
        numbers["margin"] = claim.margin
    rounding = _ROUNDING * float(max(np.abs(left).max(), np.abs(right).max()))
    tolerance = max(_STANDARD_ERRORS * spread.get("standard error", 0.0), rounding)
    return JudgedClaim(claim.text, _verdict(excess, tolerance), numbers)


def _verdict(excess: float, tolerance: float) -> Verdict:
    if not np.isfinite(excess) or abs(excess) <= tolerance:
        return "tied"
    return "holds" if excess > 0 else "fails"


def _sides(claim: Claim, rows: Mapping[str, FinishedRow]) -> dict[str, np.ndarray]:
    """What the claim compares, left and right, by replicate, under the names that its numbers have."""
    labels, metrics = (claim.left, claim.right), (claim.metric, claim.right_metric or claim.metric)
    sides = {}
    for label, metric, base in zip(labels, metrics, claim.over or (None, None), strict=True):
        of = label if claim.right_metric is None else f"{metric} of {label}"
        side = _statistics(claim, rows[label], metric)
        if base is None:
            sides[f"{claim.statistic} of {of}"] = side
        else:
            sides[f"{claim.statistic} of {of} over {base}"] = side - _statistics(claim, rows[base], metric)
    return sides


def _statistics(claim: Claim, row: FinishedRow, metric: str) -> np.ndarray:
    statistic = np.nanmean if claim.statistic == "mean" else _sample_std
    return np.array([statistic(values(scores, metric)) for scores in row.replicates])


def _sample_std(cases: np.ndarray) -> float:
    return float(np.nanstd(cases, ddof=1))


def compare(comparison: Comparison, rows: Mapping[str, FinishedRow]) -> list[PairedTest]:
    """Tests a row against every other one that shares cases with it, corrected for the number of tests."""
    first = _case_means(rows[comparison.row], comparison.metric)
    others = [label for label in rows if label != comparison.row]
    results = []
    for label in others:
        second = _case_means(rows[label], comparison.metric)
        cases = sorted(first.keys() & second.keys())
        if not cases:
            continue
        p_value = significance.wilcoxon_signed_rank(
            np.array([first[case] for case in cases]),
            np.array([second[case] for case in cases]),
            alternative=comparison.alternative,
        )
        results.append((label, len(cases), p_value))
    corrected = significance.bonferroni(np.array([p_value for _, _, p_value in results]))
    return [
        PairedTest(
            comparison.metric, comparison.row, label, comparison.alternative, count, float(p), float(adjusted)
        )
        for (label, count, p), adjusted in zip(results, corrected, strict=True)
    ]


def _case_means(row: FinishedRow, metric: str) -> dict[str, float]:
    by_case: dict[str, list[float]] = defaultdict(list)
    for scores in row.replicates:
        for case, value in scores[metric].items():
            by_case[case].append(value)
    return {case: float(np.mean(found)) for case, found in by_case.items()}


def finish(rows: Sequence[FinishedRow]) -> dict[str, FinishedRow]:
    """The rows by label."""
    return {row.row.label: row for row in rows}
