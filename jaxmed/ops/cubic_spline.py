"""Interpolating cubic splines through equally spaced knots, as matrices from knots to samples."""

import numpy as np
from jaxtyping import Float


def spline_matrix(
    positions: Float[np.ndarray, " samples"], num_knots: int
) -> Float[np.ndarray, "samples knots"]:
    """Weights that take values at the knots 0, 1, ... to an interpolating cubic spline at other positions.

    The spline is a sum of cubic B-splines whose coefficients are found so that it meets the values; beyond
    its ends it is mirrored about the outermost knots, so that its slope there is 0. It equals
    `scipy.ndimage.map_coordinates(order=3, mode="mirror")`. Rows sum to 1, and at a knot the weight of that
    knot is 1. A spline over a lattice of more dimensions applies one such matrix along each axis.

    Args:
        positions: where to sample, in knots, within [0, num_knots - 1].
        num_knots: two or more.

    Returns:
        Float64 weights.

    Raises:
        ValueError: fewer than two knots, or a position outside them.

    Reference: Unser, Splines: a perfect fit for signal and image processing, IEEE Signal Processing Magazine
    1999.
    """
    if num_knots < 2 or positions.min() < 0 or positions.max() > num_knots - 1:
        raise ValueError(
            f"positions from {positions.min():g} to {positions.max():g} among {num_knots} knots; wanted them "
            "within two knots or more"
        )
    return _basis(positions, num_knots) @ np.linalg.inv(_basis(np.arange(float(num_knots)), num_knots))


def _basis(positions: np.ndarray, num_knots: int) -> np.ndarray:
    """Cubic B-splines about the knots at the positions, those beyond the ends folded back."""
    matrix = np.zeros((len(positions), num_knots))
    cell = np.floor(positions).astype(int)
    for step in range(-1, 3):
        distance = np.abs(positions - (cell + step))
        near = 2 / 3 - distance**2 + distance**3 / 2
        far = np.maximum(2 - distance, 0) ** 3 / 6
        weight = np.where(distance < 1, near, far)
        period = 2 * (num_knots - 1)
        folded = np.abs((cell + step + num_knots - 1) % period - (num_knots - 1))
        np.add.at(matrix, (np.arange(len(positions)), folded), weight)
    return matrix
