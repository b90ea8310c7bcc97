"""Slices through lung tumours of many patients: compact ones that shrink under therapy, and others.

Each patient has one tumour in a piece of lung of 80 mm: an ellipsoid with a smooth random outline, vessels
around it, for many patients a chest wall beside it, and strands that run from it into the lung. Responders
have a smooth outline, few strands and an even inside; the others an irregular outline, many strands and often
a necrotic core of lower attenuation. All ranges overlap between the classes, so that a slice does not always
tell. Slices of a patient are alike, those of different patients are not.
"""

import functools
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from data_pipelines.phantoms import chest_vessels, shapes, tissue_hu
from data_pipelines.phantoms.smooth_noise import SmoothNoise

CLASSES = ("adaptive", "non-adaptive")
"""Tumours that shrink under chemo-radiotherapy, and tumours that do not."""

FIELD_MM = 80.0
"""Side of the region of interest, centred on the tumour."""

WINDOW_HU = (-1000.0, 200.0)
"""Values that become 0 and 255."""

NECROSIS_HU = (5.0, 25.0)
_TUMOUR_HU = (35.0, 75.0)
_SIZE_MM = (9.0, 24.0)
_NOISE_HU = 22.0
_NOISE_MM = 0.7
_REACH = 0.75
"""Slices lie within this share of the tumour's half height."""


@dataclass(frozen=True)
class Patient:
    """One tumour and what is around it, in mm, independent of any grid.

    Attributes:
        half: half axes of the tumour along x, y, z.
        irregularity: standard deviation of its outline, relative to the mean half axis.
        core: necrotic share of the tumour's extent, 0 without necrosis.
        value_hu: of the tumour.
        core_hu: of the necrosis.
        lung_hu: of the parenchyma around.
        wall: direction (x, y) to the chest wall and its distance from the centre; far away where there is
            none in the field.
        strands: from the tumour into the lung.
        vessels: of the lung.
        outline: smooth field of the outline.
        texture: smooth field of the tissues.
    """

    half: tuple[float, float, float]
    irregularity: float
    core: float
    value_hu: float
    core_hu: float
    lung_hu: float
    wall: tuple[float, float, float]
    strands: chest_vessels.Tubes
    vessels: chest_vessels.Tubes
    outline: SmoothNoise
    texture: SmoothNoise


def draw_patient(seed: int, label: int, number: int) -> Patient:
    """Draws a patient of a class.

    Args:
        seed: of the set.
        label: index into `CLASSES`.
        number: of the patient within the class.
    """
    rng = np.random.default_rng([seed, label, number])
    size = float(np.exp(rng.uniform(*np.log(_SIZE_MM))))
    half = size * rng.uniform(0.75, 1.25, 3)
    irregularity = rng.uniform(0.1, 0.3) if label else rng.uniform(0.03, 0.13)
    is_necrotic = rng.random() < (0.7 if label else 0.1)
    angle = rng.uniform(0, 2 * np.pi)
    beside_wall = rng.random() < 0.6
    return Patient(
        half=(float(half[0]), float(half[1]), float(half[2])),
        irregularity=irregularity,
        core=rng.uniform(0.35, 0.7) if is_necrotic else 0.0,
        value_hu=rng.uniform(*_TUMOUR_HU),
        core_hu=rng.uniform(*NECROSIS_HU),
        lung_hu=rng.uniform(*tissue_hu.PARENCHYMA_HU) + rng.uniform(*tissue_hu.GRAVITY_HU),
        wall=(
            float(np.cos(angle)),
            float(np.sin(angle)),
            size + rng.uniform(-4, 16) if beside_wall else 2 * FIELD_MM,
        ),
        strands=_draw_strands(rng, half, rng.poisson(14 if label else 4)),
        vessels=_draw_vessels(rng),
        outline=SmoothNoise(rng, 7.0),
        texture=SmoothNoise(rng, 4.0),
    )


def draw_slice(
    seed: int, label: int, number: int, position: int, *, num_slices: int, size: int
) -> np.ndarray:
    """Draws one of the slices of a patient.

    Args:
        seed: of the set.
        label: index into `CLASSES`.
        number: of the patient within the class.
        position: of the slice, from below, in [0, num_slices).
        num_slices: of the patient, evenly spaced within the tumour.
        size: height and width in pixels.

    Returns:
        (size, size) uint8, `WINDOW_HU` being 0 to 255.
    """
    patient = _patient(seed, label, number)
    share = (position + 0.5) / num_slices * 2 - 1
    image = paint_slice(patient, _REACH * share * patient.half[2], size)
    rng = np.random.default_rng([seed, label, number, position])
    noise = scipy.ndimage.gaussian_filter(rng.standard_normal((size, size)), _NOISE_MM * size / FIELD_MM)
    low, high = WINDOW_HU
    noisy = image + _NOISE_HU * noise / noise.std()
    return np.rint(255 * np.clip((noisy - low) / (high - low), 0, 1)).astype(np.uint8)


def paint_slice(patient: Patient, z: shapes.Scalar, size: int) -> np.ndarray:
    """One slice without noise, (size, size) float32 HU, at height `z` above the tumour's centre."""
    pixel_mm = FIELD_MM / size
    offset = (np.arange(size) - (size - 1) / 2) * pixel_mm
    x, y = offset[None, :], offset[:, None]
    outline, texture = (field.slice_at(z, offset) for field in (patient.outline, patient.texture))
    image = patient.lung_hu + tissue_hu.LUNG_TEXTURE_HU[0] * texture
    plane = shapes.Plane(image.astype(np.float32), x, y, z, pixel_mm)
    for tubes, value in ((patient.vessels, tissue_hu.BLOOD_HU), (patient.strands, patient.value_hu)):
        share = chest_vessels.tube_coverage(tubes, z, offset, pixel_mm)
        plane.hu[:] += share * np.maximum(value - plane.hu, 0)
    soft = tissue_hu.SOFT_TEXTURE_HU * texture
    towards_x, towards_y, distance = patient.wall
    depth = distance - (x * towards_x + y * towards_y) + 2 * outline
    plane.paint(depth, tissue_hu.FAT_HU + soft)
    plane.paint(depth + 3, tissue_hu.MUSCLE_HU + soft)
    mean_half = sum(patient.half) / 3
    tumour = shapes.ellipsoid(x, y, z, patient.half) + patient.irregularity * mean_half * outline
    plane.paint(tumour, patient.value_hu + soft)
    if patient.core:
        half = tuple(patient.core * axis for axis in patient.half)
        core = shapes.ellipsoid(x, y, z, (half[0], half[1], half[2])) + 0.15 * mean_half * outline
        plane.paint(np.maximum(core, tumour + 2), patient.core_hu + soft)
    return plane.hu


@functools.lru_cache(maxsize=64)
def _patient(seed: int, label: int, number: int) -> Patient:
    """Remembered, since his slices are drawn one by one."""
    return draw_patient(seed, label, number)


def _draw_strands(rng: np.random.Generator, half: np.ndarray, count: int) -> chest_vessels.Tubes:
    """Thin straight strands from the tumour's centre beyond its outline, in all directions."""
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    end = direction * (half.mean() + rng.uniform(5, 16, (count, 1)))
    pieces = 12
    cuts = np.linspace(0, 1, pieces + 1)[:, None, None] * end
    radius = np.repeat(rng.uniform(0.5, 1.1, count)[None], pieces, axis=0)
    return chest_vessels.Tubes(cuts[:-1].reshape(-1, 3), cuts[1:].reshape(-1, 3), radius.reshape(-1))


def _draw_vessels(rng: np.random.Generator) -> chest_vessels.Tubes:
    """A tree that enters the field from a random side and supplies all of it."""
    root = rng.standard_normal(3)
    root *= 0.9 * FIELD_MM / np.linalg.norm(root)
    terminals = rng.uniform(-0.65, 0.65, (160, 3)) * FIELD_MM
    return chest_vessels.grow_tree(rng, root, terminals, chest_vessels.VESSEL_RADIUS_MM)
