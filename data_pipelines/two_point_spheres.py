"""Lesions as spheres of which two points are known: the middle of the neck, and the dome."""

import numpy as np


def pair_points(points: np.ndarray) -> np.ndarray:
    """Makes the sphere of each pair of neighbouring points: the pair are the ends of a diameter.

    Args:
        points: (2 n, 3), in any unit; 0 points are 0 spheres.

    Returns:
        (n, 4) centre and radius.

    Raises:
        ValueError: an odd number of points, or a pair of equal ones.

    Reference: Assis et al., An Efficient Data Strategy for the Detection of Brain Aneurysms from MRA, section
    2.1, which does not say that the points are ends of a diameter.
    """
    if len(points) % 2:
        raise ValueError(f"found {len(points)} points; wanted two for each sphere")
    first, second = points[::2], points[1::2]
    radius = np.linalg.norm(second - first, axis=1, keepdims=True) / 2
    if not radius.all():
        number = int(np.argmin(radius)) + 1
        raise ValueError(f"found two equal points for sphere {number}; wanted its neck and its dome")
    return np.concatenate([(first + second) / 2, radius], axis=1)
