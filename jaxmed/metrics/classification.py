"""Scores of classifications."""

import numpy as np


def recalls(predicted: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Recall of each class: the share of its examples that are predicted to be of it.

    Args:
        predicted: (examples,) classes, from 0.
        labels: (examples,) true classes.
        num_classes: number of classes.

    Returns:
        (num_classes,) float64, NaN for classes without examples.
    """
    counts = np.bincount(labels, minlength=num_classes).astype(np.float64)
    hits = np.bincount(labels[predicted == labels], minlength=num_classes)
    return np.divide(hits, counts, out=np.full(num_classes, np.nan), where=counts > 0)


def balanced_accuracy(predicted: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """Mean of the recalls of the classes that have examples; arguments as in `recalls`."""
    return float(np.nanmean(recalls(predicted, labels, num_classes)))
