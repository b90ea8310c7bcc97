"""Branching tubes that fill a lung: pulmonary vessels and bronchi."""

from dataclasses import dataclass

import numpy as np

from data_pipelines.phantoms import shapes
from data_pipelines.phantoms.smooth_noise import SmoothNoise

VESSEL_RADIUS_MM = 0.31
"""Radius of the last vessels drawn; with about 1800 of them in a tree, its trunk is 12 mm wide."""
BRONCHUS_RADIUS_MM = 0.75
NUM_BRONCHI = 45
BRONCHUS_DEPTH_MM = 20.0
"""Bronchi are visible up to this distance from the pleura."""
ARTERY_OFFSET_MM = (0.0, -8.0, 6.0)
VEIN_OFFSET_MM = (0.0, -4.0, -18.0)
"""Positions of the trunks relative to the main bronchus, x, y, z."""

FORK_EXPONENT = 0.4
"""Radius grows as the number of supplied terminals to this power: r^2.5 = r1^2.5 + r2^2.5 at a fork.
Murray's law is 1/3; a little more keeps the periphery thin, as it is seen."""

PIECE_MM = 4.0
"""Branches are cut into pieces no longer than this, so that each covers few pixels."""


@dataclass(frozen=True)
class Tubes:
    """Straight pieces of tubes with round ends.

    Attributes:
        start: (n, 3) x, y, z in mm.
        end: (n, 3).
        radius_mm: (n,).
    """

    start: np.ndarray
    end: np.ndarray
    radius_mm: np.ndarray


def draw_tubes(
    rng: np.random.Generator,
    roots: tuple[tuple[float, float, float], ...],
    sites: np.ndarray,
    depth_mm: np.ndarray,
) -> tuple[Tubes, Tubes]:
    """Draws the vessels (arteries and veins) and the lumens of the bronchi of both lungs.

    Args:
        rng: bends the branches.
        roots: hilum of the right (x < 0) and of the left lung, x, y, z in mm.
        sites: (n, 3) random positions in the lungs in mm.
        depth_mm: (n,) distances to the pleura.

    Returns:
        Vessels and bronchi.
    """
    vessels, bronchi = [], []
    for root, lung in zip(roots, (sites[:, 0] < 0, sites[:, 0] > 0), strict=True):
        vessels.append(grow_tree(rng, np.array(root) + ARTERY_OFFSET_MM, sites[lung][::2], VESSEL_RADIUS_MM))
        vessels.append(grow_tree(rng, np.array(root) + VEIN_OFFSET_MM, sites[lung][1::2], VESSEL_RADIUS_MM))
        central = sites[lung & (depth_mm > BRONCHUS_DEPTH_MM)][:NUM_BRONCHI]
        bronchi.append(grow_tree(rng, np.array(root), central, BRONCHUS_RADIUS_MM))
    return _joined(vessels), _joined(bronchi)


def widened(tubes: Tubes) -> Tubes:
    """Outer surface of airways: the wall is 15 % of the lumen's radius plus 0.3 mm."""
    return Tubes(tubes.start, tubes.end, 1.15 * tubes.radius_mm + 0.3)


def displaced(tubes: Tubes, field: tuple[SmoothNoise, SmoothNoise], scale_mm: float) -> Tubes:
    """Tubes moved along x and y by scale_mm times the two fields."""

    def moved(points: np.ndarray) -> np.ndarray:
        shift = scale_mm * np.stack([noise.at(points) for noise in field], axis=1)
        return points + np.pad(shift, ((0, 0), (0, 1)))

    return Tubes(moved(tubes.start), moved(tubes.end), tubes.radius_mm)


def grow_tree(
    rng: np.random.Generator, root: np.ndarray, terminals: np.ndarray, terminal_radius_mm: float
) -> Tubes:
    """Grows a tree from the root to every terminal by repeatedly halving their territories.

    A branch runs part of the way to the centroid of its territory, which is then cut in two across
    its longest axis. The radius is terminal_radius_mm n^`FORK_EXPONENT` for n supplied terminals.

    Args:
        rng: bends the branches.
        root: (3,) position in mm.
        terminals: (n, 3) positions in mm.
        terminal_radius_mm: radius of the last branches.

    Returns:
        Pieces of branches.

    Reference: Tawhai, Pullan, Hunter (2000), Annals of Biomedical Engineering 28, 793-802; differs:
    all territories are cut at their centroids, without limits on angles and lengths.
    """
    territory = np.zeros(len(terminals), np.int64)
    tips = root[None]
    starts, ends, radii = [], [], []
    while len(terminals):
        names, territory, counts = np.unique(territory, return_inverse=True, return_counts=True)
        tips = tips[names // 2]
        centroid, axis = _moments(terminals, territory, counts)
        reach = np.where(counts == 1, 1.0, rng.uniform(0.35, 0.5, counts.size))[:, None]
        bend = rng.standard_normal((counts.size, 3)) * 0.08 * np.linalg.norm(centroid - tips, axis=1)[:, None]
        end = tips + reach * (centroid - tips + bend * (counts > 1)[:, None])
        starts.append(tips)
        ends.append(end)
        radii.append(terminal_radius_mm * counts**FORK_EXPONENT)
        side = np.einsum("nk,nk->n", terminals - centroid[territory], axis[territory]) > 0
        going_on = counts[territory] > 1
        tips, terminals = end, terminals[going_on]
        territory = (2 * territory + side)[going_on]
    return _cut(np.concatenate(starts), np.concatenate(ends), np.concatenate(radii))


def _moments(points: np.ndarray, group: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centroid and principal axis (both (groups, 3)) of each group of points."""
    sums = np.stack([np.bincount(group, points[:, i]) for i in range(3)], axis=1)
    centroid = sums / counts[:, None]
    centred = points - centroid[group]
    covariance = np.empty((counts.size, 3, 3))
    for i in range(3):
        for j in range(3):
            covariance[:, i, j] = np.bincount(group, centred[:, i] * centred[:, j])
    return centroid, np.linalg.eigh(covariance)[1][:, :, 2]


def _joined(trees: list[Tubes]) -> Tubes:
    return Tubes(
        np.concatenate([tree.start for tree in trees]),
        np.concatenate([tree.end for tree in trees]),
        np.concatenate([tree.radius_mm for tree in trees]),
    )


def _cut(start: np.ndarray, end: np.ndarray, radius: np.ndarray) -> Tubes:
    pieces = np.maximum(np.ceil(np.linalg.norm(end - start, axis=1) / PIECE_MM), 1).astype(int)
    branch = np.repeat(np.arange(len(start)), pieces)
    step = np.arange(branch.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    along = (end - start)[branch] / pieces[branch, None]
    first = start[branch] + step[:, None] * along
    return Tubes(first, first + along, radius[branch])


def tube_coverage(tubes: Tubes, z_mm: shapes.Scalar, offset_mm: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Share of each pixel of one thin slice that lies inside the tubes.

    The sum of a cross section is its area; tubes thinner than a pixel are drawn wider and fainter.

    Args:
        tubes: pieces of tubes.
        z_mm: height of the slice.
        offset_mm: (size,) positions of the pixel centres along x and y alike.
        pixel_mm: pixel size.

    Returns:
        (size, size) float32 in [0, 1].
    """
    size = offset_mm.size
    reach = np.maximum(tubes.radius_mm, pixel_mm / 2) + pixel_mm / 2
    low = np.minimum(tubes.start[:, 2], tubes.end[:, 2]) - reach
    high = np.maximum(tubes.start[:, 2], tubes.end[:, 2]) + reach
    image = np.zeros(size * size, np.float32)
    chosen = np.flatnonzero((low < z_mm) & (z_mm < high))
    # One window size for all pieces would be that of the few trunks.
    half = np.ceil((PIECE_MM / 2 + reach[chosen]) / pixel_mm).astype(int)
    for width in np.unique(half):
        _splat(image, tubes, chosen[half == width], width, z_mm, offset_mm, pixel_mm)
    return image.reshape(size, size)


def _splat(
    image: np.ndarray,
    tubes: Tubes,
    chosen: np.ndarray,
    width: int,
    z_mm: shapes.Scalar,
    offset_mm: np.ndarray,
    pixel_mm: float,
) -> None:
    """Draws the chosen pieces, in place, each into a window of 2 width + 1 pixels."""
    size = offset_mm.size
    start, end, radius = tubes.start[chosen], tubes.end[chosen], tubes.radius_mm[chosen, None, None]
    middle = np.rint((start + end)[:, :2] / (2 * pixel_mm) + (size - 1) / 2).astype(int)
    window = np.arange(-width, width + 1)
    columns = np.clip(middle[:, 0, None] + window, 0, size - 1)
    rows = np.clip(middle[:, 1, None] + window, 0, size - 1)
    direction = end - start
    dx = offset_mm[columns][:, None, :] - start[:, 0, None, None]
    dy = offset_mm[rows][:, :, None] - start[:, 1, None, None]
    dz = (z_mm - start[:, 2])[:, None, None]
    ax, ay, az = (direction[:, i, None, None] for i in range(3))
    along = np.clip((dx * ax + dy * ay + dz * az) / (ax**2 + ay**2 + az**2 + 1e-9), 0, 1)
    distance = np.sqrt((dx - along * ax) ** 2 + (dy - along * ay) ** 2 + (dz - along * az) ** 2)
    # The ramp of one pixel adds pi pixel^2 / 12 to the area of a disc.
    drawn = np.sqrt(np.maximum(radius**2 - pixel_mm**2 / 12, pixel_mm**2 / 4))
    contrast = np.minimum(3 * (radius / pixel_mm) ** 2, 1)
    share = contrast * shapes.coverage(distance - drawn, pixel_mm)
    np.maximum.at(
        image, (rows[:, :, None] * size + columns[:, None, :]).ravel(), share.ravel().astype(np.float32)
    )
