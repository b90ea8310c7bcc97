"""Principal components: of large sets without their covariance, and planes to project others into."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Plane(NamedTuple):
    """A point and directions from it.

    Attributes:
        centre: (features,).
        axes: (components, features), orthonormal, by falling variance; their largest entries are positive.
    """

    centre: np.ndarray
    axes: np.ndarray

    def project(self, points: Float[np.ndarray, "points features"]) -> Float[np.ndarray, "points components"]:
        """Coordinates along the axes, of these or other points."""
        return (points - self.centre) @ self.axes.T


def principal_plane(points: Float[np.ndarray, "points features"], count: int = 2) -> Plane:
    """The directions of largest variance through the mean, by singular value decomposition.

    Args:
        points: (points, features), finite.
        count: wanted directions.

    Raises:
        ValueError: fewer points or features than that.
    """
    if min(points.shape) < count:
        raise ValueError(f"points: shape {points.shape}; wanted {count} or more of both")
    centre = points.mean(axis=0)
    axes = np.linalg.svd(points - centre, full_matrices=False)[2][:count]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return Plane(centre, axes * np.sign(largest))


class Ellipse(NamedTuple):
    """Attributes: centre, (2,); half, (2,) half axes, the longer first; degrees, from the x axis to it."""

    centre: np.ndarray
    half: np.ndarray
    degrees: float


def sigma_ellipse(points: Float[np.ndarray, "points 2"]) -> Ellipse:
    """The ellipse of one standard deviation along the eigenvectors of the covariance of points in a plane."""
    values, vectors = np.linalg.eigh(np.cov(points, rowvar=False))
    longest = vectors[:, 1]
    half = np.sqrt(np.maximum(values[::-1], 0))
    return Ellipse(points.mean(axis=0), half, float(np.degrees(np.arctan2(longest[1], longest[0])) % 180))


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
