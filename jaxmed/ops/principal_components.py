"""Principal components of large sets, without their covariance."""

import numpy as np
from jaxtyping import Float


def principal_components(
    points: Float[np.ndarray, "points features"], count: int, *, seed: int = 0, num_iterations: int = 4
) -> Float[np.ndarray, "points components"]:
    """Coordinates along the directions of largest variance, by subspace iteration from a random start.

    Args:
        points: (points, features), finite.
        count: wanted components; cut to what the shape allows.
        seed: of the start.
        num_iterations: products with the points and back; 4 suffice where variances fall off.

    Returns:
        (points, components), by falling variance, centred; signs are arbitrary.

    Reference: Halko, Martinsson and Tropp, Finding structure with randomness, 2011, algorithm 4.4.
    """
    centred = points - points.mean(0)
    width = min(count + 10, *centred.shape)
    start = np.random.default_rng(seed).standard_normal((centred.shape[1], width))
    basis = start.astype(centred.dtype)
    for _ in range(num_iterations):
        basis, _ = np.linalg.qr(centred.T @ (centred @ basis))
    left, values, _ = np.linalg.svd(centred @ basis, full_matrices=False)
    return (left * values)[:, :count]
