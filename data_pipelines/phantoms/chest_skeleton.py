"""Bones of the chest: ribs with their cartilage, sternum, shoulder girdle and spine."""

import numpy as np

from data_pipelines.phantoms import chest_anatomy, shapes, tissue_hu

CORTEX_MM = 1.5

WALL_MM = 11.0
"""Thickness of the layer of ribs and intercostal muscles."""
RIB_DESCENT_MM = 85.0
"""How much lower a rib is at the sternum than at the spine."""


def paint_cage(plane: shapes.Plane, anatomy: chest_anatomy.Anatomy, cavity: np.ndarray) -> None:
    """Paints, in place, intercostal muscles, ribs, sternum, scapulae and clavicles of one slice."""
    x, y, z = plane.x, plane.y, plane.z
    plane.paint(cavity - WALL_MM, tissue_hu.MUSCLE_HU)
    # 0 at the spine, 1 at the sternum.
    turn = np.arctan2(np.abs(x), y + 4) / np.pi
    rib = _ribs(anatomy, turn, z, cavity)
    _paint_bone(plane, np.maximum(rib, (turn - 0.76) * 200))
    plane.paint(np.maximum(rib, (0.76 - turn) * 200), tissue_hu.CARTILAGE_HU)
    sternum = shapes.superellipse(x, y + anatomy.half_depth - 17, 18.0, 6.0, 2.6)
    _paint_bone(plane, np.maximum(sternum, np.abs(z - 10) - 75))
    _paint_bone(plane, _scapula(anatomy, x, y, z))
    low, high = (24.0, 40 - anatomy.half_depth, 88.0), (118.0, 62 - anatomy.half_depth, 118.0)
    _paint_bone(plane, shapes.capsule(np.abs(x), y, z, low, high, 5.5))


def paint_spine(plane: shapes.Plane, anatomy: chest_anatomy.Anatomy) -> None:
    """Paints, in place, vertebra or disc, spinal canal and processes of one slice."""
    x, y, z = plane.x, plane.y - anatomy.spine_y, plane.z
    height = _periodic(z - anatomy.rib_phase, anatomy.rib_spacing)
    muscles = shapes.superellipse(x, y - 24, 34.0, 20.0, 2.2)
    plane.paint(muscles, tissue_hu.MUSCLE_HU)
    vertebra = shapes.superellipse(x, y, 17.0, 14.0, 2.3)
    if abs(height) > 0.4 * anatomy.rib_spacing:
        plane.paint(vertebra, tissue_hu.DISC_HU)
    else:
        _paint_bone(plane, vertebra)
    canal = np.hypot(x, y - 21) - 8
    _paint_bone(plane, np.maximum(canal - 3.5, np.abs(height) - 0.35 * anatomy.rib_spacing))
    _paint_bone(plane, shapes.superellipse(x, y - 39, 3.5, 9.0))
    wing = shapes.superellipse(*shapes.rotate(np.abs(x) - 23, y - 22, 25), 13.0, 4.5)
    _paint_bone(plane, np.maximum(wing, np.abs(height + 3) - 6))
    plane.paint(canal, tissue_hu.CANAL_HU)


def _ribs(
    anatomy: chest_anatomy.Anatomy, turn: np.ndarray, z: shapes.Scalar, cavity: np.ndarray
) -> np.ndarray:
    """Distance to the nearest rib, an elliptic tube that descends from the spine to the sternum."""
    height = _periodic(z - anatomy.rib_phase + RIB_DESCENT_MM * turn**1.2, anatomy.rib_spacing)
    return shapes.superellipse(cavity - WALL_MM / 2 - 0.5, 0.94 * height, 4.2, 6.5)


def _scapula(anatomy: chest_anatomy.Anatomy, x: np.ndarray, y: np.ndarray, z: shapes.Scalar) -> np.ndarray:
    """Distance to the shoulder blades, plates between the muscles of the back, above z = -10 mm."""
    depth = chest_anatomy.muscle(anatomy, x, y, z) + 11
    turn = np.arctan2(np.abs(x), y) / np.pi
    lateral = np.abs(turn - 0.27) - np.clip(0.04 + (z + 10) / 900, 0, 0.13)
    return np.maximum(np.maximum(np.abs(depth + 25 * (turn - 0.27)) - 2.5, 300 * lateral), -10 - z)


def _paint_bone(plane: shapes.Plane, distance: np.ndarray) -> None:
    plane.paint(distance, tissue_hu.CORTEX_HU)
    plane.paint(distance + CORTEX_MM, tissue_hu.MARROW_HU)


def _periodic(height: shapes.Number, spacing: float) -> shapes.Number:
    """Height relative to the nearest of equidistant levels."""
    return height - spacing * np.rint(height / spacing)
