"""Lesions found as connected components, and FROC curves, on the host in numpy."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

_TOUCHING = np.ones((3, 3, 3), bool)
"""Voxels that share a face, an edge or a corner are of one component."""


class Detections(NamedTuple):
    """What a prediction found in one volume.

    Attributes:
        found: (lesions,) whether each lesion holds the centre of gravity of a predicted component.
        false_centres: (false positives, 3) centres, in voxels, of the components that lie in no lesion.
    """

    found: Bool[np.ndarray, " lesions"]
    false_centres: Float[np.ndarray, "false 3"]


class Froc(NamedTuple):
    """A free-response operating characteristic.

    Attributes:
        threshold: (points,).
        false_positives: (points,) per case, mean over all cases.
        sensitivity: (points,) mean over the cases that have lesions.
    """

    threshold: Float[np.ndarray, " points"]
    false_positives: Float[np.ndarray, " points"]
    sensitivity: Float[np.ndarray, " points"]


def label_components(mask: Bool[np.ndarray, "depth height width"]) -> Int[np.ndarray, "depth height width"]:
    """Numbers the 26-connected components of a mask from 1; 0 is background."""
    labelled: Any = ndimage.label(mask, _TOUCHING)
    return labelled[0]


def detect(
    prediction: Bool[np.ndarray, "depth height width"], lesions: Int[np.ndarray, "depth height width"]
) -> Detections:
    """Compares predicted components with true lesions.

    A lesion is found if the voxel nearest to the centre of gravity of a predicted component lies in it; a
    predicted component whose centre lies in no lesion is a false positive. One component finds one lesion at
    most, and several in one lesion count once.

    Args:
        prediction: mask.
        lesions: lesions numbered from 1 without gaps, as `label_components` gives them.

    Returns:
        What was found.

    Reference: Assis et al., An Efficient Data Strategy for the Detection of Brain Aneurysms from MRA, section
    2.4, after the detection task of the ADAM challenge.
    """
    parts = label_components(prediction)
    centres = np.array(ndimage.center_of_mass(prediction, parts, range(1, parts.max() + 1))).reshape(-1, 3)
    numbers = lesions[tuple(np.rint(centres).astype(int).T)]
    found = np.isin(np.arange(1, lesions.max() + 1), numbers)
    return Detections(found, centres[numbers == 0])


def average_cases(
    threshold: Float[np.ndarray, " points"],
    false_positives: Float[np.ndarray, "points cases"],
    sensitivity: Float[np.ndarray, "points cases"],
) -> Froc:
    """Averages a threshold sweep over cases.

    Args:
        threshold: of each point.
        false_positives: in each case.
        sensitivity: of each case, NaN where it has no lesion.

    Returns:
        The curve, in the order of the thresholds.

    Raises:
        ValueError: if no case has a lesion.
    """
    diseased = ~np.isnan(sensitivity).any(axis=0)
    if not diseased.any():
        raise ValueError("sensitivity: no case has a lesion; wanted one or more")
    return Froc(threshold, false_positives.mean(axis=1), sensitivity[:, diseased].mean(axis=1))


def area(froc: Froc, max_false_positives: float) -> float:
    """Area under a FROC curve up to a number of false positives per case, divided by that number.

    The curve is the best sensitivity at no more false positives, linear in between; before its first point it
    rises from (0, 0), and after its last it is level.

    Args:
        froc: the curve.
        max_false_positives: per case, positive.

    Returns:
        In [0, 1].
    """
    order = np.lexsort((froc.sensitivity, froc.false_positives))
    at = np.concatenate([[0.0], froc.false_positives[order]])
    best = np.maximum.accumulate(np.concatenate([[0.0], froc.sensitivity[order]]))
    # Of several points at one place the best one counts.
    last = np.append(at[1:] != at[:-1], True)
    at, best = at[last], best[last]
    within = at < max_false_positives
    x = np.append(at[within], max_false_positives)
    y = np.append(best[within], np.interp(max_false_positives, at, best))
    return float(np.trapezoid(y, x) / max_false_positives)


def nearest_corner(froc: Froc) -> int:
    """Number of the point nearest to no false positive and full sensitivity, on the axes as they are.

    Reference: Assis et al., section 3.2: "the closest point to the upper left corner".
    """
    return int(np.argmin(np.hypot(froc.false_positives, 1 - froc.sensitivity)))
