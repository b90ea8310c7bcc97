"""Shape of one chest: outlines of body, lungs and mediastinum as signed distances in mm.

Coordinates: x towards the patient's left, y towards posterior, z towards superior, in mm from the
centre of the scanner and the middle of the lungs. Sizes are those of adult axial CT (lateral width
300 to 345 mm, antero-posterior 210 to 250 mm, lungs 230 to 270 mm high).
"""

from dataclasses import dataclass

import numpy as np

from data_pipelines.phantoms import shapes, tissue_hu

MIN_FIELD_OF_VIEW_MM = 380.0
"""Diameter that holds every subject, with the table."""

CARINA = (-1.0, 6.0, 22.0)
"""Position (x, y, z) where the trachea divides."""

HILA = ((-27.0, 4.0, 0.0), (29.0, 6.0, 8.0))
"""Positions where vessels and bronchi enter the right and the left lung."""


@dataclass(frozen=True)
class Anatomy:
    """Sizes and positions that vary between subjects, in mm unless stated otherwise.

    Attributes:
        half_width: half the lateral width of the body.
        half_depth: half its antero-posterior diameter.
        fat: thickness of subcutaneous fat at the sides.
        wall: thickness of muscle and ribs at the sides.
        breast: half-axis of the breasts; 0 for none.
        apex: height of the lung apices.
        base: height of the lower rim of the lungs.
        domes: height of the diaphragm above the rim (right, left).
        heart_scale: size of the heart, relative.
        heart_shift: displacement of the heart to the left.
        lung_tilt: asymmetry of the lung widths, relative.
        aorta: radius of the descending aorta.
        rib_phase: height of a rib at the spine.
        rib_spacing: distance between neighbouring ribs.
        parenchyma_hu: HU of the anterior lung; `gravity_hu` is added at the back.
        gravity_hu: density gradient of the supine lung.
    """

    half_width: float
    half_depth: float
    fat: float
    wall: float
    breast: float
    apex: float
    base: float
    domes: tuple[float, float]
    heart_scale: float
    heart_shift: float
    lung_tilt: float
    aorta: float
    rib_phase: float
    rib_spacing: float
    parenchyma_hu: float
    gravity_hu: float

    @property
    def cavity_half_width(self) -> float:
        """Half the width of the pleural cavity at its widest."""
        return self.half_width - self.fat - self.wall

    @property
    def cavity_half_depth(self) -> float:
        """Half its antero-posterior diameter."""
        return self.half_depth - 28

    @property
    def spine_y(self) -> float:
        """Centre of the vertebral bodies."""
        return self.half_depth - 57


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draws one subject."""
    return Anatomy(
        half_width=rng.uniform(150, 170),
        half_depth=rng.uniform(106, 122),
        fat=rng.uniform(7, 18),
        wall=rng.uniform(17, 23),
        breast=rng.uniform(28, 44) * (rng.random() < 0.5),
        apex=rng.uniform(115, 132),
        base=rng.uniform(-138, -120),
        domes=(rng.uniform(45, 70), rng.uniform(35, 58)),
        heart_scale=rng.uniform(0.88, 1.12),
        heart_shift=rng.uniform(18, 32),
        lung_tilt=rng.uniform(-0.03, 0.06),
        aorta=rng.uniform(11, 15),
        rib_phase=rng.uniform(-12, 12),
        rib_spacing=rng.uniform(23, 28),
        parenchyma_hu=rng.uniform(*tissue_hu.PARENCHYMA_HU),
        gravity_hu=rng.uniform(*tissue_hu.GRAVITY_HU),
    )


def _taper(z: shapes.Number) -> shapes.Number:
    """Width of the trunk relative to its widest, with the arms raised."""
    return 1 - 0.08 * np.clip((z - 60) / 80, 0, 1) ** 2


def muscle(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, z: shapes.Number) -> np.ndarray:
    """Distance to the fascia below the subcutaneous fat."""
    width = anatomy.half_width * _taper(z) - anatomy.fat
    return shapes.superellipse(x, y, width, anatomy.half_depth - 3 - 0.4 * anatomy.fat, 2.4)


def body(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, z: shapes.Number) -> np.ndarray:
    """Distance to the skin."""
    trunk = shapes.superellipse(x, y, anatomy.half_width * _taper(z), anatomy.half_depth, 2.4)
    if not anatomy.breast:
        return trunk
    height = (z + 25) / 75
    size = anatomy.breast * np.sqrt(np.clip(1 - height**2, 0.01, 1))
    breast = shapes.superellipse(
        *shapes.rotate(np.abs(x) - 82, y + anatomy.half_depth - 24, 30), size * 1.45, size
    )
    return shapes.smooth_min(trunk, breast, 14)


def cavity(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, z: shapes.Number) -> np.ndarray:
    """Distance to the inner side of the rib cage, which narrows towards the apex."""
    rise = np.clip((z + 10) / (anatomy.apex + 10), 0, 1)
    width = np.sqrt(np.clip(1 - rise**2.2, 1e-3, 1))
    side = 1 + anatomy.lung_tilt * np.sign(-x)
    shifted = y + 4 - 14 * rise**2
    half_depth = anatomy.cavity_half_depth * (0.45 * width + 0.55 * width**0.5)
    egg = 1 + 0.09 * np.clip(shifted / half_depth, -1, 1)
    return shapes.superellipse(x, shifted, anatomy.cavity_half_width * width * side * egg, half_depth, 2.3)


def diaphragm(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, z: shapes.Number) -> np.ndarray:
    """Distance to the two domes of the diaphragm, whose rim is lowest at the back and the sides."""
    dome = np.where(x < 0, *np.asarray(anatomy.domes, np.float32))
    across = (np.abs(x) - 0.45 * anatomy.cavity_half_width) / (0.62 * anatomy.cavity_half_width)
    along = (y + 22) / (1.05 * anatomy.cavity_half_depth)
    surface = anatomy.base + dome * np.maximum(1.25 - across**2 - along**2, -0.3)
    # The domes slope by about 0.9 in the mean: 1 / hypot(1, 0.9) turns height into distance.
    return 0.75 * (surface - z)


def heart(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, z: shapes.Number) -> np.ndarray:
    """Distance to the heart, an ellipsoid with its apex to the left and anterior."""
    scale = anatomy.heart_scale
    u, v = shapes.rotate(x - anatomy.heart_shift, y + 0.24 * anatomy.half_depth, -32)
    return shapes.ellipsoid(u, v, z + 52 + 0.25 * u, (62 * scale, 43 * scale, 52 * scale))


def descending_aorta(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, z: shapes.Number) -> np.ndarray:
    """Distance to the descending aorta, left of the spine and ending in the arch."""
    tube = np.hypot(x - 22, y - anatomy.spine_y + 17) - anatomy.aorta
    return np.maximum(tube, z - 55)


def mediastinum(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, z: shapes.Number) -> np.ndarray:
    """Distance to everything between the lungs: central organs, heart with its fat, aorta and spine."""
    upper = np.clip((z - 20) / 80, 0, 1)
    centre = shapes.superellipse(x - 2, y + 12, 30 + 6 * np.exp(-((z / 30) ** 2)) - 4 * upper, 52.0, 2.5)
    front = np.maximum(np.abs(x - 3) - 5, y)
    spine = shapes.superellipse(x, y - anatomy.spine_y - 18, 33.0, 38.0, 2.2)
    inner = shapes.smooth_min(shapes.smooth_min(centre, front, 16), spine, 10)
    arch = shapes.ellipsoid(*shapes.rotate(x - 10, y - 8, 62), z - 52, (42, 17, 17))
    inner = shapes.smooth_min(inner, arch, 8)
    inner = shapes.smooth_min(inner, descending_aorta(anatomy, x, y, z) - 2, 5)
    return shapes.smooth_min(inner, heart(anatomy, x, y, z) - 5, 12)


def lungs(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, z: shapes.Number) -> np.ndarray:
    """Distance to the pleura of the two lungs: rib cage without mediastinum, above the diaphragm."""
    space = shapes.smooth_max(cavity(anatomy, x, y, z), -mediastinum(anatomy, x, y, z), 7)
    return shapes.smooth_max(space, diaphragm(anatomy, x, y, z), 6)


def great_vessels(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, z: shapes.Number) -> list[np.ndarray]:
    """Distances to ascending aorta, arch, caval vein, pulmonary trunk and the branches of the arch."""
    ascending = np.maximum(np.hypot(x + 8, y + 26) - anatomy.aorta - 3, z - 50)
    arch = shapes.ellipsoid(*shapes.rotate(x - 9, y - 6, 62), z - 52, (40, 13, 13))
    caval = np.hypot(x + 24, y + 14) - 8.5
    trunk = shapes.ellipsoid(*shapes.rotate(x - 18, y + 20, -40), z - 8, (30, 13, 15))
    left = np.maximum(np.hypot(x - 14, y + 2) - 4.5, 55 - z)
    middle = np.maximum(np.hypot(x + 2, y + 14) - 5.5, 55 - z)
    return [ascending, arch, caval, trunk, left, middle]


def central_airways(x: np.ndarray, y: np.ndarray, z: shapes.Number) -> list[np.ndarray]:
    """Distances to the lumens of the trachea and of the two main bronchi."""
    trachea = np.maximum(shapes.superellipse(x - CARINA[0], y - CARINA[1], 8.5, 8.0), CARINA[2] - z)
    right = shapes.capsule(x, y, z, CARINA, HILA[0], 6.5)
    left = shapes.capsule(x, y, z, CARINA, HILA[1], 5.5)
    return [trachea, right, left]
