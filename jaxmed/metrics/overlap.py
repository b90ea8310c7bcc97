"""Overlap of whole binary volumes, on the host in numpy: masks of an evaluation live there."""

import numpy as np
from jaxtyping import Float, Shaped


def dice(prediction: Shaped[np.ndarray, "*shape"], target: Shaped[np.ndarray, "..."]) -> float:
    """Dice coefficient of two binary masks, 2 |X and Y| / (|X| + |Y|).

    Two empty masks agree: 1. One empty mask against one that is not: 0.

    Args:
        prediction: mask of any shape, typically a whole volume (depth, height, width); bool, or numbers
            that are 0 or 1.
        target: mask of the same shape.

    Returns:
        The coefficient, in [0, 1], symmetric in its arguments.

    Raises:
        ValueError: the shapes differ, or a mask holds another value than 0 and 1.

    Reference: Saparov et al., Zero-Shot Domain Adaptation in CT Segmentation by Filtered Back Projection
    Augmentation, section 2.4. differs: the union printed there is a misprint of the intersection.
    """
    first, second = _as_masks(prediction, target)
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2 * np.count_nonzero(first & second) / total if total else 1.0


def sensitivity(prediction: Shaped[np.ndarray, "*shape"], target: Shaped[np.ndarray, "..."]) -> float:
    """Sensitivity (recall) of a binary mask: the part of the target that is found, TP / (TP + FN).

    Args:
        prediction: as in `dice`.
        target: as in `dice`.

    Returns:
        In [0, 1]; NaN where the target is empty.

    Raises:
        ValueError: as in `dice`.
    """
    found, wanted = _as_masks(prediction, target)
    return _share(np.count_nonzero(found & wanted), np.count_nonzero(wanted))


def specificity(prediction: Shaped[np.ndarray, "*shape"], target: Shaped[np.ndarray, "..."]) -> float:
    """Specificity of a binary mask: the part of the background that is left alone, TN / (TN + FP).

    Args:
        prediction: as in `dice`.
        target: as in `dice`.

    Returns:
        In [0, 1]; NaN where there is no background.

    Raises:
        ValueError: as in `dice`.
    """
    found, wanted = _as_masks(prediction, target)
    return _share(np.count_nonzero(~(found | wanted)), wanted.size - np.count_nonzero(wanted))


def precision(prediction: Shaped[np.ndarray, "*shape"], target: Shaped[np.ndarray, "..."]) -> float:
    """Precision (positive predictive value) of a binary mask: the part of it that is right, TP / (TP + FP).

    Args:
        prediction: as in `dice`.
        target: as in `dice`.

    Returns:
        In [0, 1]; NaN where the prediction is empty.

    Raises:
        ValueError: as in `dice`.
    """
    found, wanted = _as_masks(prediction, target)
    return _share(np.count_nonzero(found & wanted), np.count_nonzero(found))


def _share(part: int | np.integer, whole: int | np.integer) -> float:
    return float(part / whole) if whole else float("nan")


def _as_masks(prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if prediction.shape != target.shape:
        raise ValueError(f"target: shape {target.shape}; wanted that of the prediction, {prediction.shape}")
    return _as_mask(prediction, "prediction"), _as_mask(target, "target")


def _as_mask(values: np.ndarray, name: str) -> np.ndarray:
    mask = values.astype(bool)
    if values.dtype != bool and not np.array_equal(values, mask):
        found = values[values != mask].flat[0]
        raise ValueError(f"{name}: holds {found}; wanted a mask of 0 and 1")
    return mask


def soft_dice(
    probabilities: Float[np.ndarray, "*shape"], target: Shaped[np.ndarray, "..."], smooth: float = 1.0
) -> float:
    """Dice coefficient of probabilities as Keras networks show it, (2 sum(p y) + s) / (sum p + sum y + s).

    It equals `dice` for probabilities of 0 and 1 and s = 0 only: doubtful voxels count in part, and where
    nothing is to be found it is s / (sum p + s).

    Args:
        probabilities: of any shape, typically a batch; in [0, 1].
        target: of the same shape; 0 or 1.
        smooth: s, positive.

    Returns:
        In (0, 1].
    """
    both = np.sum(probabilities * target, dtype=np.float64)
    total = np.sum(probabilities, dtype=np.float64) + np.sum(target, dtype=np.float64)
    return float((2 * both + smooth) / (total + smooth))
