"""T1-weighted heads of adults without their skulls: ventricles, folded cortex, grey and white matter.

Half of the subjects are young and half elderly, as in collections of studies of development and of ageing.
Subjects differ in size and outline, in the course of their sulci, the thickness of the cortex, the width of
ventricles and sulci, and in contrast, bias field and noise; pose and position are those of volumes that were
registered. There is no cerebellum and no brain stem. The signal is that of `brain_volumes`.
"""

from typing import NamedTuple

import numpy as np

from data_pipelines.phantoms import brain_volumes, shapes
from data_pipelines.phantoms.smooth_noise import SmoothNoise

LABELS = ("background", "fluid", "grey matter", "white matter", "ventricles")
"""By their numbers."""

_STREAM = 3
"""Apart from the diseased subjects of `brain_volumes`."""

_SULCUS_CELL_MM = 7.0
_SLOPE_PER_CELL = 1.23 * 3**0.5
"""Mean slope of the noise, in standard deviations per cell."""

_SULCUS_DEPTH_MM = 16.0
_FISSURE = 0.45


class T1Head(NamedTuple):
    """One subject.

    Attributes:
        image: (depth, height, width) float32, 0 outside of the brain.
        label: (depth, height, width) uint8, see `LABELS`.
        ventricle_ml: volume of the lateral ventricles, with the share of each voxel, in ml.
    """

    image: np.ndarray
    label: np.ndarray
    ventricle_ml: float


def draw_head(seed: int, shape: tuple[int, int, int], voxel_mm: float) -> T1Head:
    """Draws one subject on cubic voxels, centred.

    Args:
        seed: of the subject.
        shape: depth, height and width in voxels.
        voxel_mm: size of the voxels; what is smaller, such as a fold, shows as a share of the voxel.
    """
    rng = np.random.default_rng([seed, _STREAM])
    axes = tuple((np.arange(size) - (size - 1) / 2) * voxel_mm for size in shape)
    elderly = rng.random() < 0.5
    atrophy = float(np.clip(rng.normal(0.55, 0.2) if elderly else rng.normal(0.15, 0.12), 0, 1))
    brain, tissue, white = _draw_cortex(rng, axes, voxel_mm, atrophy)
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    ventricles = shapes.coverage(brain_volumes.ventricles(rng, x, y, z, atrophy), voxel_mm) * brain
    nuclei = shapes.coverage(shapes.ellipsoid(np.abs(x) - 20, y + 2, z - 2, (8.0, 18.0, 12.0)), voxel_mm)
    white, tissue = white * (1 - nuclei), np.maximum(tissue, ventricles)
    shares = {
        "white": white * (1 - ventricles),
        "grey": (tissue - white) * (1 - ventricles),
        "csf": brain - tissue * (1 - ventricles),
        "air": 1 - brain,
    }
    image = brain_volumes.acquire(shares, "T1", rng) * (brain > 0.5)
    tissues = np.stack([shares["csf"] - ventricles, shares["grey"], shares["white"], ventricles])
    label = np.where(brain > 0.5, 1 + tissues.argmax(axis=0), 0).astype(np.uint8)
    return T1Head(image.astype(np.float32), label, float(ventricles.sum() * voxel_mm**3 / 1000))


def _draw_cortex(
    rng: np.random.Generator, axes: tuple[np.ndarray, ...], voxel_mm: float, atrophy: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of the brain within its hull, of its tissue, and of white matter, each within the one before.

    Sulci are sheets, the zeros of a smooth random field, that reach about 16 mm deep and become narrower
    there; so is the fissure between the hemispheres. The cortex lines the hull and the sheets.
    """
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    half = (rng.normal(67, 2.5), rng.normal(84, 3), rng.normal(62, 2.5))
    depth = 1.5 * SmoothNoise(rng, 30.0).on_grid(*axes) - shapes.ellipsoid(x, y, z, half)
    field = SmoothNoise(rng, _SULCUS_CELL_MM).on_grid(*axes)
    from_sheet = np.abs(field) * (_SULCUS_CELL_MM / _SLOPE_PER_CELL)
    to_sulcus = np.hypot(from_sheet, np.maximum(depth - _SULCUS_DEPTH_MM, 0))
    radius = np.sqrt((y / half[1]) ** 2 + (z / half[2]) ** 2) - 0.3 * np.clip(-z / 20, 0, 1)
    to_fissure = np.hypot(x, np.maximum(_FISSURE - radius, 0) * half[2])
    width = (0.6 + 1.6 * atrophy) * np.clip(1 - depth / _SULCUS_DEPTH_MM, 0.2, 1)
    from_pia = np.minimum(np.minimum(to_sulcus, to_fissure) - width, depth - 0.5 - atrophy)
    cortex_mm = rng.normal(2.9, 0.15) - 0.6 * atrophy
    brain = shapes.coverage(-depth, voxel_mm)
    tissue = shapes.coverage(-from_pia, voxel_mm) * brain
    return brain, tissue, shapes.coverage(cortex_mm - from_pia, voxel_mm) * tissue
