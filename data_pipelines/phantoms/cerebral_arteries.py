"""Cerebral arteries: trees with branching small arteries, and saccular aneurysms on them; all in mm.

The frame is that of `chest_vessels`: x, y (to posterior) and z (to superior) about the circle of Willis.
"""

from dataclasses import dataclass

import numpy as np

from data_pipelines.phantoms.chest_vessels import Tubes, grow_tree

BRAIN_CENTRE_MM, BRAIN_HALF_MM = (0.0, 4.0, 16.0), (68.0, 84.0, 62.0)
"""The ellipsoid that the brain fills: x, y, z."""

SMALLEST_RADIUS_MM = 0.3
"""Of the last arteries that are drawn; a 3 T scan shows those of about a voxel."""

_TREES = (
    ((-11.0, -4.0, -6.0), (-14.0, -1.0, -60.0), 110),
    ((11.0, -4.0, -6.0), (14.0, -1.0, -60.0), 110),
    ((0.0, 9.0, -5.0), (0.0, 14.0, -60.0), 60),
)
"""Carotid and basilar arteries: where the tree begins, where the trunk enters below, terminals.

The trunk is as wide as its tree's radius law has it: 2.0 and 1.5 mm.
"""

_SHARES = (60, 66, 29)
_EDGES_MM = (1.23, 3.0, 5.0, 19.63)
_NUMBERS = (81, 20, 7, 2, 1)
"""Patients with one to five aneurysms: 111 with 155; the paper prints the first, the last and the sums."""

_TAIL_SHAPE, _TAIL_SCALE_MM = 0.38, 5.65
"""Of the gamma law above 5 mm, by which the mean and the deviation are the paper's."""


@dataclass(frozen=True)
class Aneurysms:
    """Saccular aneurysms; x, y, z in mm.

    Attributes:
        neck: (n, 3) middle of the neck, on the wall of the artery.
        dome: (n, 3) farthest point.
        width: (n,) of the sac across, as a share of its length.
    """

    neck: np.ndarray
    dome: np.ndarray
    width: np.ndarray

    @property
    def diameter_mm(self) -> np.ndarray:
        """(n,) distance of neck and dome."""
        return np.linalg.norm(self.dome - self.neck, axis=1)


def draw_diameters(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws diameters in mm by the law of the paper's 155 aneurysms.

    60 : 66 : 29 of them are below 3 mm, between 3 and 5, and above; uniform in the first two ranges, 5 mm and
    a gamma-distributed excess in the last, all from 1.23 to 19.63 mm: 3.86 +- 2.39 mm.

    Reference: Assis et al., An Efficient Data Strategy for the Detection of Brain Aneurysms from MRA, section
    2.1.
    """
    group = rng.choice(3, count, p=np.array(_SHARES) / sum(_SHARES))
    edges = np.array(_EDGES_MM)
    uniform = rng.uniform(edges[group], edges[group + 1])
    excess = rng.gamma(_TAIL_SHAPE, _TAIL_SCALE_MM, count)
    return np.where(group < 2, uniform, np.minimum(edges[2] + excess, edges[3]))


def draw_number(rng: np.random.Generator) -> int:
    """Draws how many aneurysms a patient has, one to five, as often as in the paper."""
    return int(rng.choice(5, p=np.array(_NUMBERS) / sum(_NUMBERS))) + 1


def draw_arteries(rng: np.random.Generator) -> Tubes:
    """Draws the three trees, the communicating arteries and small side branches of the large arteries.

    Side branches leave arteries of 0.8 mm and more, where the paper's detector has its false positives: a
    small artery, close to the resolution limit, branches onto a large one. They begin as a short cone.
    """
    parts = [_communicating()]
    for top, entry, terminals in _TREES:
        sites = _sites(rng, terminals, np.array(top))
        tree = grow_tree(rng, np.array(top), sites, SMALLEST_RADIUS_MM)
        # The trunk bends twice on its way up.
        bends = np.linspace(entry, top, 7) + np.pad(rng.normal(0, 2.0, (5, 3)), [(1, 1), (0, 0)])
        trunk = Tubes(bends[:-1], bends[1:], np.full(6, tree.radius_mm.max()))
        parts += [tree, trunk]
    large = _join(parts)
    return _join([large, _side_branches(rng, large)])


def draw_aneurysms(
    rng: np.random.Generator, arteries: Tubes, half_mm: tuple[float, float, float], count: int
) -> Aneurysms:
    """Places aneurysms on arteries of 0.8 mm and more, three of four at bifurcations, within a box.

    At a bifurcation the sac goes on where the parent artery pointed, tilted at random; elsewhere it stands
    across. Sacs lie within the box and do not touch each other.

    Args:
        rng: draws.
        arteries: from `draw_arteries`.
        half_mm: half of the box's extent along x, y, z about the origin.
        count: how many.

    Returns:
        As many, or fewer where there is no place in 400 tries.
    """
    large = np.flatnonzero(arteries.radius_mm >= 0.8)
    forks = np.array([piece for piece in large if _num_followers(arteries, int(piece)) > 1])
    neck, dome, width = np.zeros((0, 3)), np.zeros((0, 3)), rng.uniform(0.8, 1.15, count)
    diameters, half = draw_diameters(rng, count), np.array(half_mm)
    for _ in range(400):
        if len(neck) == count:
            break
        at_fork = rng.uniform() < 0.75
        piece = rng.choice(forks if at_fork else large)
        root, direction = _stand_on(rng, arteries, piece, at_fork)
        diameter = diameters[len(neck)]
        middle = root + direction * diameter / 2
        inside = (np.abs(middle) + diameter / 2 + 1 < half).all()
        apart = np.linalg.norm((neck + dome) / 2 - middle, axis=1) > diameter
        if inside and apart.all():
            neck = np.concatenate([neck, root[None]])
            dome = np.concatenate([dome, (root + direction * diameter)[None]])
    return Aneurysms(neck, dome, width[: len(neck)])


def _stand_on(rng: np.random.Generator, arteries: Tubes, piece: int, at_fork: bool):
    """Where the neck is, and the unit vector to the dome."""
    along = arteries.end[piece] - arteries.start[piece]
    along /= np.linalg.norm(along)
    noise = rng.normal(size=3)
    if at_fork:
        direction = along + 0.4 * noise
        point = arteries.end[piece]
    else:
        direction = noise - along * (noise @ along)
        point = arteries.start[piece] + rng.uniform() * (arteries.end[piece] - arteries.start[piece])
    direction /= np.linalg.norm(direction)
    return point + 0.8 * arteries.radius_mm[piece] * direction, direction


def _num_followers(arteries: Tubes, piece: int) -> int:
    return int((np.abs(arteries.start - arteries.end[piece]).max(axis=1) < 1e-6).sum())


def _sites(rng: np.random.Generator, count: int, top: np.ndarray) -> np.ndarray:
    """Terminals in the brain: those of a carotid on its side and in front, those of the basilar behind."""
    sites = np.zeros((0, 3))
    while len(sites) < count:
        drawn = rng.uniform(-1, 1, (4 * count, 3))
        drawn = drawn[np.square(drawn).sum(axis=1) < 1] * BRAIN_HALF_MM + BRAIN_CENTRE_MM
        mine = drawn[:, 1] > 20 if top[0] == 0 else (drawn[:, 0] * top[0] > 0) & (drawn[:, 1] < 25)
        sites = np.concatenate([sites, drawn[mine]])
    return sites[:count]


def _communicating() -> Tubes:
    left, right, basilar = (np.array(top) for top, _, _ in _TREES)
    middle = np.array([0.0, -16.0, 0.0])
    start, end = np.stack([left, right, left, right]), np.stack([basilar, basilar, middle, middle])
    return Tubes(start, end, np.array([0.5, 0.5, 0.6, 0.6]))


def _side_branches(rng: np.random.Generator, arteries: Tubes, count: int = 40) -> Tubes:
    """Thin, nearly straight arteries that leave the large ones, each with a cone of 1.2 mm at its root."""
    large = np.flatnonzero(arteries.radius_mm >= 0.8)
    pieces = rng.choice(large, count)
    start, end, radius = [], [], []
    for piece in pieces:
        root, direction = _stand_on(rng, arteries, piece, at_fork=False)
        thin, length = rng.uniform(0.25, 0.5), rng.uniform(4.0, 12.0)
        tip = root + length * direction + rng.normal(0, 0.15 * length, 3)
        start += [root, root]
        end += [root + 1.2 * direction, tip]
        radius += [1.6 * thin, thin]
    return Tubes(np.array(start), np.array(end), np.array(radius))


def _join(parts: list[Tubes]) -> Tubes:
    return Tubes(
        np.concatenate([part.start for part in parts]),
        np.concatenate([part.end for part in parts]),
        np.concatenate([part.radius_mm for part in parts]),
    )
