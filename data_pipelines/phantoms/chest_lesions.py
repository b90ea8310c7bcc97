"""Ground-glass opacities and consolidations of a viral pneumonia."""

import math
from dataclasses import dataclass

import numpy as np

from data_pipelines.phantoms import shapes, tissue_hu

GROUND_GLASS_EDGE_MM = (5.0, 10.0)
"""Width over which a ground-glass opacity fades into the lung."""
CONSOLIDATION_EDGE_MM = (2.0, 4.0)
SIZE_MM = (7.0, 35.0)
"""Range of the mean half axis, drawn log-uniformly."""
IRREGULARITY = 0.22
"""Standard deviation of the outline, relative to the lesion's size."""


@dataclass(frozen=True)
class Lesion:
    """An irregular ellipsoid with a soft edge.

    Attributes:
        centre: (x, y, z) in mm.
        half: half axes along x, y, z in mm.
        edge_mm: width of the edge.
        value_hu: HU of its inside.
    """

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    edge_mm: float
    value_hu: float

    def reaches(self, z: shapes.Scalar) -> bool:
        """Whether any of it can lie at height z."""
        return bool(abs(z - self.centre[2]) < 2 * self.half[2] + self.edge_mm)


def draw_lesions(rng: np.random.Generator, sites: np.ndarray, depth_mm: np.ndarray) -> list[Lesion]:
    """Draws the lesions of one subject, mild disease being more frequent than severe.

    The mean number is exp(U(0, 2.7)), between 1 and 15, plus one. Sites near the pleura, posterior and
    in the lower half of the lungs are preferred.

    Args:
        rng: source of all draws.
        sites: (n, 3) positions in the lungs, x, y, z in mm.
        depth_mm: (n,) distances to the pleura.
    """
    number = 1 + rng.poisson(np.exp(rng.uniform(0, 2.7)))
    preference = np.exp(-depth_mm / 12 + sites[:, 1] / 45 - sites[:, 2] / 90)
    lesions = []
    for site in rng.choice(len(sites), number, p=preference / preference.sum()):
        size = math.exp(rng.uniform(*np.log(SIZE_MM)))
        lesions.append(_draw_lesion(rng, sites[site], size, tissue_hu.GROUND_GLASS_HU, GROUND_GLASS_EDGE_MM))
        if rng.random() < 0.3:
            inner = sites[site] + rng.uniform(-0.3, 0.3, 3) * size
            lesions.append(
                _draw_lesion(rng, inner, 0.5 * size, tissue_hu.CONSOLIDATION_HU, CONSOLIDATION_EDGE_MM)
            )
    return lesions


def _draw_lesion(
    rng: np.random.Generator,
    centre: np.ndarray,
    size: float,
    range_hu: tuple[float, float],
    range_edge_mm: tuple[float, float],
) -> Lesion:
    half = (size * rng.uniform(0.7, 1.4, 3)).tolist()
    edge_mm = min(rng.uniform(*range_edge_mm), 0.8 * size)
    return Lesion(tuple(centre.tolist()), tuple(half), edge_mm, rng.uniform(*range_hu))


def amplitude(
    lesion: Lesion, x: np.ndarray, y: np.ndarray, z: shapes.Scalar, noise: np.ndarray
) -> np.ndarray:
    """Share of the lesion's tissue at each position: 1 inside, 1/2 on its outline, 0 outside.

    A smoothstep of width `edge_mm` across the outline, an ellipsoid displaced by
    `IRREGULARITY` times its size times the noise.
    """
    size = min(lesion.half)
    cx, cy, cz = lesion.centre
    distance = shapes.ellipsoid(x - cx, y - cy, z - cz, lesion.half)
    ramp = np.clip(0.5 - (distance + IRREGULARITY * size * noise) / lesion.edge_mm, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)
