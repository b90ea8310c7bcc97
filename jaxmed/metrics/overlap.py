"""Overlap of whole binary volumes, on the host in numpy: masks of an evaluation live there."""

import numpy as np
from jaxtyping import Shaped


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
    if prediction.shape != target.shape:
        raise ValueError(f"target: shape {target.shape}; wanted that of the prediction, {prediction.shape}")
    first, second = _as_mask(prediction, "prediction"), _as_mask(target, "target")
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2 * np.count_nonzero(first & second) / total if total else 1.0


def _as_mask(values: np.ndarray, name: str) -> np.ndarray:
    mask = values.astype(bool)
    if values.dtype != bool and not np.array_equal(values, mask):
        found = values[values != mask].flat[0]
        raise ValueError(f"{name}: holds {found}; wanted a mask of 0 and 1")
    return mask
