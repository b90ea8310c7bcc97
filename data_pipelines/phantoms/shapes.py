"""Signed distances (negative inside) of simple shapes, their unions, and their coverage of pixels."""

import math
from dataclasses import dataclass

import numpy as np

Scalar = np.floating | float
Number = np.ndarray | Scalar
"""One value, or an array that broadcasts against the others."""


def superellipse(x: Number, y: Number, half_x: Number, half_y: Number, exponent: float = 2.0) -> np.ndarray:
    """First-order distance to |x / half_x|^n + |y / half_y|^n = 1, exact on the outline up to curvature."""
    u, v = np.abs(x / half_x) + 1e-6, np.abs(y / half_y) + 1e-6
    if exponent == 2.0:
        power_u, power_v = u, v
    else:
        power_u, power_v = u ** (exponent - 1), v ** (exponent - 1)
    total = power_u * u + power_v * v
    norm = total ** (1 / exponent)
    return (norm - 1) * total / norm / np.hypot(power_u / half_x, power_v / half_y)


def ellipsoid(x: Number, y: Number, z: Number, half: tuple[float, float, float]) -> np.ndarray:
    """First-order distance to an ellipsoid with half axes (x, y, z)."""
    u, v, w = x / half[0], y / half[1], z / half[2]
    norm = np.sqrt(u * u + v * v + w * w) + 1e-6
    slope = np.sqrt((u / half[0]) ** 2 + (v / half[1]) ** 2 + (w / half[2]) ** 2) + 1e-9
    return (norm - 1) * norm / slope


def capsule(
    x: Number,
    y: Number,
    z: Number,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: float,
) -> np.ndarray:
    """Distance to a straight tube with round ends."""
    ax, ay, az = (b - a for a, b in zip(start, end, strict=True))
    dx, dy, dz = x - start[0], y - start[1], z - start[2]
    along = np.clip((dx * ax + dy * ay + dz * az) / (ax**2 + ay**2 + az**2), 0, 1)
    return np.sqrt((dx - along * ax) ** 2 + (dy - along * ay) ** 2 + (dz - along * az) ** 2) - radius


def smooth_max(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Intersection of two shapes with an edge rounded over `blend_mm`."""
    return np.maximum(a, b) + np.square(np.maximum(blend_mm - np.abs(a - b), 0)) / (4 * blend_mm)


def smooth_min(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Union of two shapes with an edge rounded over `blend_mm`."""
    return -smooth_max(-a, -b, blend_mm)


def rotate(x: Number, y: Number, degrees: float) -> tuple[Number, Number]:
    """Coordinates in a frame turned by `degrees` from x towards y."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return cos * x + sin * y, cos * y - sin * x


def coverage(distance: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Share of a pixel inside the shape: a ramp one pixel wide across the outline (antialiasing)."""
    return np.clip(0.5 - distance / pixel_mm, 0, 1)


@dataclass(frozen=True)
class Plane:
    """Image of one thin slice, and where its pixels lie in the frame of the shapes.

    Attributes:
        hu: (height, width), painted in place.
        x: positions in mm that broadcast to (height, width).
        y: idem.
        z: height of the slice in mm.
        pixel_mm: pixel size.
    """

    hu: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: Scalar
    pixel_mm: float

    def paint(self, distance: np.ndarray, value_hu: np.ndarray | float, opacity: float = 1.0) -> None:
        """Replaces what lies inside a shape by tissue of `value_hu`, in place."""
        share = opacity * coverage(distance, self.pixel_mm)
        np.add(self.hu, share * (value_hu - self.hu), out=self.hu)
