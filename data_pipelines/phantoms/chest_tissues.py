"""Fills the outlines of a chest with tissues: one thin slice at a time, from outside to inside."""

from dataclasses import dataclass

import numpy as np

from data_pipelines.phantoms import (
    chest_anatomy,
    chest_lesions,
    chest_skeleton,
    chest_vessels,
    shapes,
    tissue_hu,
)
from data_pipelines.phantoms.smooth_noise import SmoothNoise

SKIN_MM = 2.0
AIRWAY_WALL_MM = 1.5
BEND_MM = 3.0
"""Standard deviation of the smooth displacements that make every outline irregular."""


@dataclass(frozen=True)
class Subject:
    """Everything that defines one subject, independent of any grid.

    Attributes:
        anatomy: outlines.
        vessels: of both lungs.
        bronchi: lumens of the airways in both lungs.
        lesions: may be empty.
        fine: texture at scales of 8 mm.
        coarse: texture and outlines of lesions at scales of 18 mm.
        bend: displacements along x and y, in units of `BEND_MM`.
    """

    anatomy: chest_anatomy.Anatomy
    vessels: chest_vessels.Tubes
    bronchi: chest_vessels.Tubes
    lesions: tuple[chest_lesions.Lesion, ...]
    fine: SmoothNoise
    coarse: SmoothNoise
    bend: tuple[SmoothNoise, SmoothNoise]


def paint_slice(
    subject: Subject, z: shapes.Scalar, offset_mm: np.ndarray, pixel_mm: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, lesion mask and lung mask of one thin slice.

    Args:
        subject: what to draw.
        z: height in mm.
        offset_mm: (size,) positions of the pixel centres along x and y alike.
        pixel_mm: pixel size.

    Returns:
        (size, size) float32 HU, and two uint8 masks.
    """
    anatomy = subject.anatomy
    fine, coarse = (noise.slice_at(z, offset_mm) for noise in (subject.fine, subject.coarse))
    x, y = offset_mm[None, :], offset_mm[:, None]
    image = np.full((offset_mm.size,) * 2, tissue_hu.AIR_HU, np.float32)
    _paint_table(shapes.Plane(image, x, y, z, pixel_mm), anatomy)
    x, y = (a + BEND_MM * bend.slice_at(z, offset_mm) for a, bend in zip((x, y), subject.bend, strict=True))
    plane = shapes.Plane(image, x, y, z, pixel_mm)
    _paint_soft_tissue(plane, anatomy, fine, coarse)
    lesions = [lesion for lesion in subject.lesions if lesion.reaches(z)]
    amplitudes = [chest_lesions.amplitude(lesion, x, y, z, coarse) for lesion in lesions]
    tissue = _lung_tissue(anatomy, y, lesions, amplitudes)
    tissue += tissue_hu.LUNG_TEXTURE_HU[0] * fine + tissue_hu.LUNG_TEXTURE_HU[1] * coarse
    _add_tubes(tissue, subject, z, offset_mm, pixel_mm)
    lungs = chest_anatomy.lungs(anatomy, x, y, z)
    plane.paint(lungs, tissue)
    _paint_central_airways(plane)
    diseased = np.zeros_like(image, bool)
    for amplitude in amplitudes:
        diseased |= amplitude >= 0.5
    return image, (diseased & (lungs <= 0)).astype(np.uint8), (lungs <= 0).astype(np.uint8)


def _paint_table(plane: shapes.Plane, anatomy: chest_anatomy.Anatomy) -> None:
    """A curved table top: a foam core in a shell."""
    surface = anatomy.half_depth + 5 - plane.x**2 / 800
    slab = np.maximum(np.abs(plane.y - surface - 11) - 11, np.abs(plane.x) - 122)
    plane.paint(slab, tissue_hu.TABLE_SHELL_HU)
    plane.paint(slab + 2.5, tissue_hu.TABLE_FOAM_HU)


def _paint_soft_tissue(
    plane: shapes.Plane, anatomy: chest_anatomy.Anatomy, fine: np.ndarray, coarse: np.ndarray
) -> None:
    """Everything but lungs and airways, with texture inside the skin."""
    x, y, z = plane.x, plane.y, plane.z
    skin = chest_anatomy.body(anatomy, x, y, z)
    plane.paint(skin, tissue_hu.SKIN_HU)
    plane.paint(skin + SKIN_MM, tissue_hu.FAT_HU)
    muscle = chest_anatomy.muscle(anatomy, x, y, z) + coarse
    plane.paint(muscle, tissue_hu.MUSCLE_HU)
    between = np.abs(muscle + 9 + coarse) - 0.9
    plane.paint(between, tissue_hu.FAT_HU, opacity=0.7)
    cavity = chest_anatomy.cavity(anatomy, x, y, z)
    chest_skeleton.paint_cage(plane, anatomy, cavity)
    _paint_mediastinum(plane, anatomy, cavity)
    chest_skeleton.paint_spine(plane, anatomy)
    plane.paint(skin, plane.hu + tissue_hu.SOFT_TEXTURE_HU * fine)


def _paint_mediastinum(plane: shapes.Plane, anatomy: chest_anatomy.Anatomy, cavity: np.ndarray) -> None:
    """Mediastinal fat, great vessels, oesophagus, heart and, below the diaphragm, the liver."""
    x, y, z = plane.x, plane.y, plane.z
    plane.paint(cavity, tissue_hu.FAT_HU)
    for vessel in chest_anatomy.great_vessels(anatomy, x, y, z):
        plane.paint(vessel, tissue_hu.BLOOD_HU)
    plane.paint(shapes.superellipse(x - 6, y - 24, 8.0, 6.0), tissue_hu.OESOPHAGUS_HU)
    abdomen = np.maximum(cavity + 1, -chest_anatomy.diaphragm(anatomy, x, y, z))
    beside_spine = 28 - np.hypot(x, y - anatomy.spine_y - 6)
    plane.paint(np.maximum(abdomen, beside_spine), tissue_hu.LIVER_HU)
    plane.paint(chest_anatomy.heart(anatomy, x, y, z), tissue_hu.BLOOD_HU)
    plane.paint(chest_anatomy.descending_aorta(anatomy, x, y, z), tissue_hu.BLOOD_HU)


def _lung_tissue(
    anatomy: chest_anatomy.Anatomy,
    y: np.ndarray,
    lesions: list[chest_lesions.Lesion],
    amplitudes: list[np.ndarray],
) -> np.ndarray:
    """Parenchyma, denser towards the back of a supine subject, with the lesions that are denser than it."""
    height = np.clip(0.5 + y / (2 * anatomy.cavity_half_depth), 0, 1)
    tissue = anatomy.parenchyma_hu + anatomy.gravity_hu * height
    for lesion, amplitude in zip(lesions, amplitudes, strict=True):
        tissue += amplitude * np.maximum(lesion.value_hu - tissue, 0)
    return tissue


def _add_tubes(
    tissue: np.ndarray, subject: Subject, z: shapes.Scalar, offset_mm: np.ndarray, pixel_mm: float
) -> None:
    """Draws vessels, then the walls and lumens of the bronchi, in place."""
    vessels = chest_vessels.tube_coverage(subject.vessels, z, offset_mm, pixel_mm)
    tissue += vessels * np.maximum(tissue_hu.BLOOD_HU - tissue, 0)
    walls = chest_vessels.tube_coverage(chest_vessels.widened(subject.bronchi), z, offset_mm, pixel_mm)
    tissue += walls * np.maximum(tissue_hu.AIRWAY_WALL_HU - tissue, 0)
    lumens = chest_vessels.tube_coverage(subject.bronchi, z, offset_mm, pixel_mm)
    tissue += lumens * (tissue_hu.AIR_HU - tissue)


def _paint_central_airways(plane: shapes.Plane) -> None:
    """Trachea and main bronchi."""
    lumens = chest_anatomy.central_airways(plane.x, plane.y, plane.z)
    for lumen in lumens:
        plane.paint(lumen - AIRWAY_WALL_MM, tissue_hu.AIRWAY_WALL_HU)
    for lumen in lumens:
        plane.paint(lumen, tissue_hu.AIR_HU)
