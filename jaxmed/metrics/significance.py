"""Tests of significance for paired scores, on the host in numpy and scipy."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy
from jaxtyping import Float, Real


def wilcoxon_signed_rank(
    first: Real[np.ndarray, " pairs"],
    second: Real[np.ndarray, " _"],
    *,
    alternative: Literal["two-sided", "greater", "less"],
) -> float:
    """P-value of Wilcoxon's signed-rank test of paired scores.

    Pairs without a difference are left out, as by Wilcoxon; where none is left the p-value is 1. Few
    samples are no error: up to 50 differences without ties, or 13 with, the distribution is exact, so that
    n differences cannot give less than 2^-n one-sided, 2^(1-n) two-sided; above, it is the normal
    approximation corrected for ties. Differences count as tied only where equal to the last bit: round
    scores first that carry rounding errors.

    Args:
        first: (pairs,) finite scores, for instance Dice of one method per subject.
        second: (pairs,) scores of the same subjects in the same order.
        alternative: what the p-value speaks for: "greater" that `first` tends to exceed `second`, "less"
            the opposite, "two-sided" either.

    Returns:
        Probability of a rank sum at least as extreme, were the sign of every difference a coin toss.

    Raises:
        ValueError: the lengths differ or are 0, or a value is not finite.
    """
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(
            f"second: shape {second.shape} beside {first.shape}; wanted equal lengths of one or more"
        )
    difference = first.astype(np.float64) - second.astype(np.float64)
    if not np.isfinite(difference).all():
        raise ValueError("first, second: a value is NaN or infinite; wanted finite scores")
    nonzero = difference[difference != 0]
    if not nonzero.size:
        return 1.0
    _, p_value = np.asarray(scipy.stats.wilcoxon(nonzero, alternative=alternative, method="auto"))
    return float(p_value)


def bonferroni(p_values: Sequence[float] | Real[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Bonferroni's correction: every p-value times the number of tests, at most 1.

    Args:
        p_values: (tests,) p-values of one family of tests, in [0, 1].

    Returns:
        (tests,) adjusted p-values in the same order; comparing them with a level bounds the probability of
        any false rejection in the family by that level.

    Raises:
        ValueError: a p-value lies outside [0, 1] or is NaN.
    """
    values = np.asarray(p_values, np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p_values: {values.tolist()}; wanted values in [0, 1]")
    return np.minimum(values * values.size, 1.0)
