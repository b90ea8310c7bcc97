"""Ordinary least squares and F tests of nested models, on the host in numpy and scipy."""

from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float, Real


class LinearFit(NamedTuple):
    """A least-squares fit.

    Attributes:
        coefficients: (terms,), in the order of the design's columns.
        residual: sum of squared residuals.
        freedom: observations minus terms.
    """

    coefficients: Float[np.ndarray, " terms"]
    residual: float
    freedom: int


class FTest(NamedTuple):
    """Attributes: f; p; numerator and denominator, the degrees of freedom."""

    f: float
    p: float
    numerator: int
    denominator: int


def fit_linear(design: Real[np.ndarray, "cases terms"], response: Real[np.ndarray, " cases"]) -> LinearFit:
    """Fits response = design @ coefficients by least squares.

    Args:
        design: (cases, terms) of full column rank; a constant is a column of ones.
        response: (cases,) finite values.

    Returns:
        The fit.

    Raises:
        ValueError: no more cases than terms, columns that depend on each other, or values that are not
            finite.
    """
    if not (np.isfinite(design).all() and np.isfinite(response).all()):
        raise ValueError("design, response: a value is NaN or infinite; wanted finite ones")
    cases, terms = design.shape
    if cases <= terms or np.linalg.matrix_rank(design) < terms:
        raise ValueError(
            f"design: {cases} cases, {terms} terms of rank {np.linalg.matrix_rank(design)}; wanted more "
            f"cases than terms, and terms that do not depend on each other"
        )
    coefficients, *_ = np.linalg.lstsq(design.astype(np.float64), response.astype(np.float64))
    residual = float(np.square(response - design @ coefficients).sum())
    return LinearFit(coefficients, residual, cases - terms)


def f_test(
    design: Real[np.ndarray, "cases terms"], response: Real[np.ndarray, " cases"], tested: tuple[int, ...]
) -> FTest:
    """F test of the hypothesis that some coefficients are 0, the others being fitted anew.

    F = ((RSS_0 - RSS) / q) / (RSS / (n - k)) for q tested of k terms; with independent normal errors it
    follows F(q, n - k) under the hypothesis. It is what MATLAB's `anova` of a `fitlm` model prints for its
    terms.

    Args:
        design: as in `fit_linear`.
        response: as in `fit_linear`.
        tested: columns of the design whose coefficients the hypothesis sets to 0; not all of them.

    Returns:
        The statistic, its p-value and degrees of freedom. A perfect fit has an infinite F.

    Raises:
        ValueError: as in `fit_linear`, or no or every term is tested.
    """
    full = fit_linear(design, response)
    kept = [column for column in range(design.shape[1]) if column not in tested]
    if not kept or not tested:
        raise ValueError(f"tested: {tested} of {design.shape[1]} terms; wanted some, not all")
    reduced = fit_linear(design[:, kept], response)
    numerator = reduced.freedom - full.freedom
    gain, error = (reduced.residual - full.residual) / numerator, full.residual / full.freedom
    f = max(gain, 0.0) / error if error > 0 else float("inf")
    return FTest(f, float(scipy.stats.f.sf(f, numerator, full.freedom)), numerator, full.freedom)
