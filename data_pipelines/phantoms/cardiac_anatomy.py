"""A torso with a heart in three dimensions: signed distances that any plane can cut.

Positions are in mm, x towards the patient's left, y towards posterior, z towards superior; the origin is the
centre of the mitral plane. The heart has its own axes: long (base to apex), septal (towards the right
ventricle) and their cross product.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data_pipelines.phantoms import shapes

Tissue = str
"""A key of `cardiac_contrast.TISSUES`."""

DESCENDING_AORTA = (-14.0, 58.0)
"""Where the descending aorta runs, (x, y) in mm."""

_APEX_DIRECTION = np.array([0.62, -0.58, -0.53])
_SEPTAL_DIRECTION = np.array([-0.75, -0.55, -0.28])


@dataclass(frozen=True)
class Heart:
    """Sizes and axes of one subject's heart and torso; lengths in mm.

    Attributes:
        axes: (3, 3) rows: long, septal and third axis, orthonormal.
        length: of the left ventricle's cavity, base to apex.
        radius: of the cavity at the base.
        wall: thickness of the left ventricle's wall.
        right: half width of the right ventricle.
        atrium: radius of the atria.
        aorta: radius of the ascending aorta.
        body: half axes of the torso, (x, y).
        fat: thickness of the fat under the skin.
        scar: angle (degrees) at which a scar lies in the wall, or None.
        dome: height of the liver's dome.
    """

    axes: np.ndarray
    length: float
    radius: float
    wall: float
    right: float
    atrium: float
    aorta: float
    body: tuple[float, float]
    fat: float
    scar: float | None
    dome: float

    @property
    def aortic_valve(self) -> np.ndarray:
        """Centre of the aortic valve."""
        return self.local(-6.0, 0.45 * self.radius, 0.75 * self.radius)

    @property
    def aortic_direction(self) -> np.ndarray:
        """Unit vector along the ascending aorta."""
        direction = np.array([-0.3, -0.25, 0.92])
        return direction / np.linalg.norm(direction)

    @property
    def arch(self) -> np.ndarray:
        """Where the ascending aorta ends."""
        return self.aortic_valve + 75 * self.aortic_direction

    def local(self, along: float, septal: float, third: float) -> np.ndarray:
        """Position of a point given along the heart's own axes."""
        return np.array([along, septal, third]) @ self.axes


def draw_heart(rng: np.random.Generator, *, with_scar: bool = False) -> Heart:
    """Draws a subject.

    Args:
        rng: of the subject.
        with_scar: whether the left ventricle's wall has a scar.

    Returns:
        Sizes of an adult at end diastole, and axes within some 10 degrees of the usual ones.
    """
    size = rng.normal(1, 0.08)
    angles = np.radians(rng.normal(0, 7, 3))
    long = _unit(_APEX_DIRECTION + np.cross(angles, _APEX_DIRECTION))
    septal = _SEPTAL_DIRECTION + np.cross(angles, _SEPTAL_DIRECTION)
    septal = _unit(septal - (septal @ long) * long)
    return Heart(
        axes=np.stack([long, septal, np.cross(long, septal)]),
        length=88 * size * rng.normal(1, 0.05),
        radius=25 * size * rng.normal(1, 0.07),
        wall=float(np.clip(rng.normal(9.5, 1.6), 6, 16)),
        right=29 * size * rng.normal(1, 0.08),
        atrium=24 * size * rng.normal(1, 0.1),
        aorta=float(np.clip(rng.normal(15, 1.6), 11, 20)),
        body=(float(rng.normal(175, 16)), float(rng.normal(115, 10))),
        fat=float(np.clip(rng.normal(20, 8), 6, 45)),
        scar=float(rng.uniform(0, 360)) if with_scar else None,
        dome=float(rng.normal(-62, 9)),
    )


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def shapes_at(heart: Heart, points: np.ndarray) -> Iterator[tuple[Tissue, np.ndarray]]:
    """Gives each tissue with its signed distance, in the order in which they are painted over one another.

    Args:
        heart: the subject.
        points: (3, ...) positions in mm.

    Yields:
        The tissue and its distance (...), negative inside.
    """
    yield from _torso(heart, *points)
    yield from _chambers(heart, points)
    yield from _vessels(heart, *points)


def shares_at(heart: Heart, points: np.ndarray, blur_mm: float) -> dict[Tissue, np.ndarray]:
    """Gives the share of each tissue at points, 1 in sum.

    Args:
        heart: the subject.
        points: (3, ...) positions in mm.
        blur_mm: width of the ramp across an outline, such as the size of a pixel.

    Returns:
        (...) float32 by tissue.
    """
    shares = {"air": np.ones(points.shape[1:], np.float32)}
    for tissue, distance in shapes_at(heart, points.astype(np.float32)):
        inside = shapes.coverage(distance, blur_mm).astype(np.float32)
        for share in shares.values():
            share *= 1 - inside
        shares[tissue] = shares[tissue] + inside if tissue in shares else inside
    return shares


def ventricles_at(heart: Heart, points: np.ndarray) -> dict[str, np.ndarray]:
    """Tells which points lie in the ventricles, as they are outlined in short-axis images.

    Args:
        heart: the subject.
        points: (3, ...) positions in mm.

    Returns:
        (...) bool by name, disjoint: "left" and "right", the cavities with their papillary muscles, and
        "wall", the left ventricle's; all of them below the mitral plane.
    """
    along, septal, third = np.tensordot(heart.axes, points, 1)
    below = along > 0
    left = below & (_cavity(heart, along, septal, third) < 0)
    wall = below & (_left_ventricle(heart, along, septal, third) < 0) & ~left
    right = below & (_right_ventricle(heart, along, septal, third) < 0) & ~left & ~wall
    return {"left": left, "wall": wall, "right": right}


def _torso(heart: Heart, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Iterator[tuple[Tissue, np.ndarray]]:
    # The heart lies left and in front of the torso's axis.
    bx, by, below = x + 38, y - 8, z - heart.dome
    skin = shapes.superellipse(bx, by, *heart.body, 2.6)
    yield "fat", skin
    yield "muscle", skin + heart.fat
    inner = skin + heart.fat + 14
    for side in (-1, 1):
        lung = shapes.ellipsoid(bx - side * 76, by - 4, z - 8, (62.0, 88.0, 128.0))
        yield "lung", np.maximum(lung, inner)
    liver = shapes.ellipsoid(bx + 42, by + 6, below + 78, (105.0, 92.0, 78.0))
    yield "liver", np.maximum(liver, inner)
    yield "stomach", shapes.ellipsoid(bx - 78, by + 4, below + 62, (42.0, 48.0, 46.0))
    yield "spleen", shapes.ellipsoid(bx - 108, by - 48, below + 66, (30.0, 38.0, 46.0))
    # Vertebrae of 30 mm with discs of 6 mm between them.
    column = np.hypot(bx, by - 66) - 19
    in_vertebra = np.abs((z % 36) - 18) - 15
    yield "muscle", shapes.superellipse(bx, by - 84, 56.0, 28.0, 2.5)
    yield "disc", column
    yield "marrow", np.maximum(column, in_vertebra)
    yield "csf", np.hypot(bx, by - 93) - 8


def _chambers(heart: Heart, points: np.ndarray) -> Iterator[tuple[Tissue, np.ndarray]]:
    along, septal, third = np.tensordot(heart.axes, points, 1)
    radius, length = heart.radius, heart.length
    outer = _left_ventricle(heart, along, septal, third)
    right = _right_ventricle(heart, along, septal, third)
    left = _left_atrium(heart, along, septal, third)
    half = (25.0, heart.atrium, heart.atrium * 1.1)
    right_atrium = shapes.ellipsoid(along + 27, septal - radius - 22, third - 2, half)
    thin = np.minimum(right, np.minimum(left, right_atrium))
    yield "fat", np.minimum(outer, thin) - 6
    yield "muscle", thin - 2.5
    yield "blood", thin
    yield "myocardium", outer
    if heart.scar is not None:
        angle = np.radians(heart.scar)
        towards = septal * np.cos(angle) + third * np.sin(angle)
        sector = 0.8 * np.hypot(septal, third) - towards
        yield (
            "scar",
            np.maximum(np.maximum(outer + 0.35 * heart.wall, sector), np.abs(along - 0.5 * length) - 22),
        )
    yield "blood", _cavity(heart, along, septal, third)
    for papillary_degrees in (35.0, 155.0):
        angle = np.radians(papillary_degrees)
        y, z = 0.62 * radius * np.array([np.cos(angle), np.sin(angle)])
        start, end = (0.32 * length, y, z), (0.72 * length, 0.8 * y, 0.8 * z)
        yield "myocardium", shapes.capsule(along, septal, third, start, end, 4.2)


def _left_ventricle(heart: Heart, along: np.ndarray, septal: np.ndarray, third: np.ndarray) -> np.ndarray:
    """Cavity and wall."""
    radius, length = heart.radius + heart.wall, heart.length + heart.wall
    return _ventricle(along, septal, third, radius, length, base=-4.0)


def _cavity(heart: Heart, along: np.ndarray, septal: np.ndarray, third: np.ndarray) -> np.ndarray:
    """It reaches beyond the wall's base: between ventricle and atrium the blood goes on."""
    return _ventricle(along, septal, third, heart.radius, heart.length, base=-8.0)


def _right_ventricle(heart: Heart, along: np.ndarray, septal: np.ndarray, third: np.ndarray) -> np.ndarray:
    half = (0.86 * heart.length, heart.right, 1.25 * heart.radius + 8)
    right = shapes.ellipsoid(along - 4, septal - heart.radius - 0.42 * heart.right, third - 3, half)
    return np.maximum(right, -6 - along)


def left_atrium(heart: Heart, points: np.ndarray) -> np.ndarray:
    """Signed distance to the left atrium's blood, up to the mitral valve, at (3, ...) positions in mm."""
    along, septal, third = np.tensordot(heart.axes, points, 1)
    blood = _left_atrium(heart, along, septal, third)
    return np.maximum(blood, -_cavity(heart, along, septal, third))


def _left_atrium(heart: Heart, along: np.ndarray, septal: np.ndarray, third: np.ndarray) -> np.ndarray:
    half = (27.0, heart.atrium, heart.atrium * 1.15)
    return shapes.ellipsoid(along + 26, septal + 5, third + 2, half)


def _ventricle(
    along: np.ndarray, septal: np.ndarray, third: np.ndarray, radius: float, length: float, *, base: float
) -> np.ndarray:
    """A half ellipsoid from the base to the apex, blunter than an ellipse."""
    shell = shapes.superellipse(along, np.hypot(septal, third), length, radius, 2.3)
    return np.maximum(shell, base - along)


def _vessels(
    heart: Heart, x: np.ndarray, y: np.ndarray, z: np.ndarray
) -> Iterator[tuple[Tissue, np.ndarray]]:
    valve, arch, radius = heart.aortic_valve, heart.arch, heart.aorta
    descending = np.array([*DESCENDING_AORTA, 0.0])
    top = descending + np.array([0, 0, arch[2] - 8])
    outflow = heart.local(8.0, 0.25 * heart.radius, 0.5 * heart.radius)
    # The pulmonary artery winds in front of the aorta to its left.
    pulmonary = heart.local(-4.0, heart.radius + 6, heart.radius + 6)
    crossing = valve + np.array([12.0, -14.0, 34.0])
    fork = crossing + np.array([4.0, 26.0, 10.0])
    cava = valve + np.array([-34.0, 12.0, 0.0])
    paths = (
        (outflow, valve, 0.85 * radius),
        (valve, arch, radius),
        (arch, top, 0.9 * radius),
        (top, descending + np.array([0, 0, -260.0]), 0.78 * radius),
        (pulmonary, crossing, 0.9 * radius),
        (crossing, fork, 0.85 * radius),
        (fork, fork + np.array([-42.0, 14.0, -2.0]), 0.6 * radius),
        (fork, fork + np.array([34.0, 16.0, 0.0]), 0.6 * radius),
        (cava, cava + np.array([0, 0, 140.0]), 9.0),
        (cava + np.array([4.0, 4.0, -40.0]), cava + np.array([8.0, 10.0, -200.0]), 11.0),
    )
    distances = [shapes.capsule(x, y, z, tuple(a), tuple(b), float(r)) for a, b, r in paths]
    yield "muscle", np.minimum.reduce(distances[1:]) - 1.8
    yield "blood", np.minimum.reduce(distances)
