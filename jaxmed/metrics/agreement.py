"""Agreement of two measurements of the same quantity, on the host in numpy."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real


class BlandAltman(NamedTuple):
    """What a Bland-Altman plot shows, in the units of the measurements.

    Attributes:
        mean: (pairs,) mean of the two measurements, the abscissa.
        difference: (pairs,) first minus second, the ordinate.
        bias: mean difference.
        lower: lower limit of agreement, bias - 1.96 standard deviations of the differences.
        upper: upper limit of agreement, bias + 1.96 standard deviations.
    """

    mean: Float[np.ndarray, " pairs"]
    difference: Float[np.ndarray, " pairs"]
    bias: float
    lower: float
    upper: float


def bland_altman(first: Real[np.ndarray, " pairs"], second: Real[np.ndarray, " _"]) -> BlandAltman:
    """Computes bias and 95 % limits of agreement of paired measurements.

    The standard deviation is that of a sample (divisor pairs - 1). The limits hold 95 % of normal
    differences; nothing is dropped or tested for normality.

    Args:
        first: (pairs,) finite measurements, for instance volumes in mL from smooth images.
        second: (pairs,) measurements of the same subjects, for instance from sharp images.

    Returns:
        The points of the plot and its three lines.

    Raises:
        ValueError: the lengths differ, there are fewer than two pairs, or a value is not finite.

    Reference: Bland and Altman, Statistical methods for assessing agreement between two methods of clinical
    measurement, Lancet 1986.
    """
    if first.shape != second.shape or first.ndim != 1 or first.size < 2:
        raise ValueError(
            f"second: shape {second.shape} beside {first.shape}; wanted equal lengths of two or more"
        )
    first, second = first.astype(np.float64), second.astype(np.float64)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("first, second: a value is NaN or infinite; wanted finite measurements")
    difference = first - second
    bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    return BlandAltman((first + second) / 2, difference, bias, bias - spread, bias + spread)
