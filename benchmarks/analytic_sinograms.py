"""Images whose line integrals are known in closed form: ellipses, with edges, and a Gaussian, without."""

import numpy as np
from scipy import special

SHEPP_LOGAN = np.array(
    [
        [1.0, 0.69, 0.92, 0.0, 0.0, 0.0],
        [-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0],
        [-0.2, 0.11, 0.31, 0.22, 0.0, -18.0],
        [-0.2, 0.16, 0.41, -0.22, 0.0, 18.0],
        [0.1, 0.21, 0.25, 0.0, 0.35, 0.0],
        [0.1, 0.046, 0.046, 0.0, 0.1, 0.0],
        [0.1, 0.046, 0.046, 0.0, -0.1, 0.0],
        [0.1, 0.046, 0.023, -0.08, -0.605, 0.0],
        [0.1, 0.023, 0.023, 0.0, -0.606, 0.0],
        [0.1, 0.023, 0.046, 0.06, -0.605, 0.0],
    ]
)
"""Modified Shepp-Logan phantom on [-1, 1]^2, y upwards: value, half axes, centre, tilt in degrees."""

DISC = np.array([[1.0, 0.6, 0.6, 0.1, -0.15, 0.0]])
"""One disc off the centre, in the same form."""


def scaled(ellipses: np.ndarray, size: int) -> np.ndarray:
    """Ellipses in pixels, inside the inscribed circle of a square of `size` pixels."""
    pixels = ellipses.copy()
    pixels[:, 1:5] *= 0.95 * (size // 2)
    return pixels


def ellipse_image(ellipses: np.ndarray, size: int, oversampling: int = 8) -> np.ndarray:
    """Mean of the ellipses over each pixel, (size, size) float64."""
    offsets = (np.arange(size * oversampling) + 0.5) / oversampling - 0.5 - size // 2
    x, y = offsets[None, :], -offsets[:, None]
    image = np.zeros((size * oversampling,) * 2, np.float32)
    for value, a, b, x0, y0, degrees in scaled(ellipses, size):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        u, v = (x - x0) * c + (y - y0) * s, (y - y0) * c - (x - x0) * s
        image += np.float32(value) * ((u / a) ** 2 + (v / b) ** 2 <= 1.0)
    return image.reshape(size, oversampling, size, oversampling).mean((1, 3), dtype=np.float64)


def ellipse_sinogram(ellipses: np.ndarray, size: int, num_angles: int, num_detectors: int) -> np.ndarray:
    """Line integrals 2 v a b sqrt(r^2 - (t - t0)^2) / r^2, r^2 = a^2 cos^2 + b^2 sin^2 of the tilt.

    Returns:
        (num_angles, num_detectors) float64, in the geometry of `jaxmed.ops.radon`.
    """
    theta = np.arange(num_angles)[:, None] * np.pi / num_angles
    t = np.arange(num_detectors)[None, :] - num_detectors // 2
    sinogram = np.zeros((num_angles, num_detectors))
    for value, a, b, x0, y0, degrees in scaled(ellipses, size):
        tilted = theta - np.deg2rad(degrees)
        squared = (a * np.cos(tilted)) ** 2 + (b * np.sin(tilted)) ** 2
        distance = t - x0 * np.cos(theta) - y0 * np.sin(theta)
        sinogram += 2 * value * a * b * np.sqrt(np.maximum(squared - distance**2, 0.0)) / squared
    return sinogram


def radii(size: int) -> np.ndarray:
    """Distance of each pixel from the axis of rotation, (size, size)."""
    offsets = np.arange(size) - size // 2
    return np.hypot(offsets[:, None], offsets[None, :])


def gaussian_image(size: int, sigma: float) -> np.ndarray:
    """exp(-r^2 / 2 sigma^2) around the axis of rotation, (size, size); sigma in pixels."""
    return np.exp(-np.square(radii(size) / sigma) / 2.0)


def gaussian_sinogram(sigma: float, num_angles: int, num_detectors: int) -> np.ndarray:
    """Its line integrals sqrt(2 pi) sigma exp(-t^2 / 2 sigma^2), (num_angles, num_detectors)."""
    t = np.arange(num_detectors) - num_detectors // 2
    view = np.sqrt(2 * np.pi) * sigma * np.exp(-np.square(t / sigma) / 2.0)
    return np.broadcast_to(view, (num_angles, num_detectors))


def gaussian_with_kernel(size: int, sigma: float, a: float, b: float) -> np.ndarray:
    """The Gaussian filtered with 1 + a (2 f)^b in the plane, f in cycles per pixel, (size, size).

    g + a (sqrt(2) / (pi sigma))^b Gamma(1 + b/2) 1F1(1 + b/2; 1; -r^2 / 2 sigma^2).
    """
    squared = np.square(radii(size) / sigma) / 2.0
    # Kummer's transformation: the series of 1F1 with a large negative argument cancels.
    tail = special.gamma(1 + b / 2) * np.exp(-squared) * special.hyp1f1(-b / 2, 1.0, squared)
    return np.exp(-squared) + a * (np.sqrt(2) / (np.pi * sigma)) ** b * tail
