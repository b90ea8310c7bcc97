"""Confusion counts of two classes and what follows from them, on the host in numpy; shares on the device."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float


class Confusion(NamedTuple):
    """How often a binary prediction and its target agree.

    Counts of several sets add up: `Confusion(*map(sum, zip(*counts)))`. Shares of all elements do as well as
    counts for what follows from them.

    Attributes:
        true_positives: positive in both.
        false_positives: positive in the prediction alone.
        false_negatives: positive in the target alone.
        true_negatives: positive in neither.
    """

    true_positives: int | float
    false_positives: int | float
    false_negatives: int | float
    true_negatives: int | float


def count(prediction: Bool[np.ndarray, "*shape"], target: Bool[np.ndarray, "*shape"]) -> Confusion:
    """Counts agreement element by element.

    Args:
        prediction: bools of any shape, such as a mask's voxels or one for each patch.
        target: the same shape.

    Returns:
        The four counts.
    """
    both, predicted = int(np.count_nonzero(prediction & target)), int(np.count_nonzero(prediction))
    wanted = int(np.count_nonzero(target))
    return Confusion(both, predicted - both, wanted - both, target.size - predicted - wanted + both)


def shares(prediction: Bool[Array, "*shape"], target: Bool[Array, "*shape"]) -> dict[str, Float[Array, ""]]:
    """The four counts as shares of all elements, on the device: metrics of a training step.

    Their means over steps and devices of as many elements are shares again, which a mean of kappas is not.

    Args:
        prediction: bools of any shape.
        target: the same shape.

    Returns:
        By the names of `Confusion`.
    """
    cells = (prediction & target, prediction & ~target, ~prediction & target, ~(prediction | target))
    return {name: cell.mean() for name, cell in zip(Confusion._fields, cells, strict=True)}


def dice(counts: Confusion) -> float:
    """Dice coefficient 2 TP / (2 TP + FP + FN); 1 where neither holds a positive."""
    wrong = counts.false_positives + counts.false_negatives
    total = 2 * counts.true_positives + wrong
    return 2 * counts.true_positives / total if total else 1.0


def cohen_kappa(counts: Confusion) -> float:
    """Cohen's kappa, (p_o - p_e) / (1 - p_e): agreement beyond that by chance.

    With N elements p_o = (TP + TN) / N, and p_e is what independent raters with the same shares of positives
    would reach. Written as 2 (TP TN - FP FN) / ((TP + FP)(FP + TN) + (TP + FN)(FN + TN)), it tends to the
    Dice coefficient of the same two masks as TN grows: for rare positives the two say the same.

    Args:
        counts: of one or more elements.

    Returns:
        In [-1, 1]; 1 where both call every element the same, single class, as `dice` does of empty masks.

    Reference: Cohen, A coefficient of agreement for nominal scales, 1960.
    """
    tp, fp, fn, tn = counts
    below = (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn)
    return 2 * (tp * tn - fp * fn) / below if below else 1.0
