"""Axial T1-weighted slices of skull-stripped heads with and without dementia, at the level of the ventricles.

What separates the two is what radiologists measure: wider lateral ventricles, wider sulci and a thinner
cortex. All of them grow with age too and vary between subjects: dementia adds about one and a half standard
deviations of the healthy of the same age, as is found for the brain volume in very mild to mild dementia.
"""

from typing import NamedTuple

import numpy as np
import scipy.ndimage

WIDTH_MM, HEIGHT_MM = 176.0, 208.0
_CSF, _GREY, _WHITE = 0.18, 0.58, 0.85


class Brain(NamedTuple):
    """Attributes: image, (height, width) float32 in [0, 1]; age in years; ventricle_mm2, their area."""

    image: np.ndarray
    age: float
    ventricle_mm2: float


def draw_brain(seed: int, shape: tuple[int, int], *, dementia: bool) -> Brain:
    """Draws one subject.

    Healthy subjects are 18 to 94 years old, a third of them above 60; demented ones 62 to 96. Atrophy is in
    [0, 1] and rises with age from 40 on; dementia adds to it.

    Args:
        seed: of the subject.
        shape: pixels of the slice of 208 x 176 mm.
        dementia: whether the subject has it.
    """
    rng = np.random.default_rng([seed, int(dementia)])
    if dementia:
        age = float(np.clip(rng.normal(77, 7), 62, 96))
    else:
        age = float(rng.uniform(60, 94) if rng.random() < 1 / 3 else rng.uniform(18, 60))
    atrophy = 0.45 * max(age - 40, 0) / 55 + (rng.uniform(0.05, 0.3) if dementia else 0.0)
    atrophy = float(np.clip(atrophy + rng.normal(0, 0.12), 0, 1))
    y, x = (
        (np.arange(size) + 0.5) * length / size - length / 2
        for size, length in zip(shape, (HEIGHT_MM, WIDTH_MM), strict=True)
    )
    tissue, ventricle = _paint(rng, x[None, :], y[:, None], atrophy)
    pixel_mm2 = HEIGHT_MM / shape[0] * WIDTH_MM / shape[1]
    image = _acquire(rng, tissue, HEIGHT_MM / shape[0])
    return Brain(image, age, float(ventricle.sum() * pixel_mm2))


def _paint(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, atrophy: float
) -> tuple[np.ndarray, np.ndarray]:
    """Intensities without noise, and the share of each pixel that is ventricle."""
    half_x, half_y = rng.normal(64, 2.5), rng.normal(82, 3)
    angle = np.arctan2(y / half_y, x / half_x)
    radius = np.hypot(x / half_x, y / half_y)
    scale = (half_x + half_y) / 2
    inside_mm = (1 - radius) * scale
    # Gyri: the depth of the grey-white border and of the sulci varies along the surface.
    folds = sum(
        np.cos(number * angle + rng.uniform(0, 2 * np.pi)) * rng.uniform(0.5, 1)
        for number in rng.choice(np.arange(9, 26), 6, replace=False)
    )
    folds = folds / 2.2
    cortex_mm = rng.normal(7.5, 0.4) - 2.5 * atrophy
    sulcus_mm = np.maximum(-folds, 0) * (3 + 9 * atrophy) * np.exp(-np.maximum(inside_mm, 0) / 25)
    brain = _cover(inside_mm)
    cortex = _cover(inside_mm - sulcus_mm - 0.5)
    white = _cover(inside_mm - sulcus_mm - cortex_mm - 3.5 * folds)
    fissure = _cover(1.2 + 2 * atrophy - np.abs(x)) * (np.abs(y) > 0.45 * half_y)
    tissue = _CSF * brain + (_GREY - _CSF) * cortex * (1 - fissure)
    tissue += (
        (_WHITE - _GREY)
        * white
        * cortex
        * (1 - _cover(4 + 2 * atrophy - np.abs(x)) * (np.abs(y) > 0.4 * half_y))
    )
    ventricle = _ventricles(rng, x, y, atrophy)
    nuclei = _ellipse(np.abs(x) - 17, y + 2, rng.normal(8, 0.6), rng.normal(17, 1))
    tissue += (_GREY + 0.06 - tissue) * nuclei
    return tissue + (_CSF * 0.8 - tissue) * ventricle, ventricle


def _ventricles(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, atrophy: float) -> np.ndarray:
    """Both lateral ventricles: frontal horns, bodies and occipital horns, each side a little different."""
    share = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    width, length = 3.2 + 8.5 * atrophy + rng.normal(0, 0.5), 24 + 9 * atrophy
    for side in (-1, 1):
        w = max(width * rng.normal(1, 0.08), 1.5)
        u = side * x
        bend = 5 + 10 * np.clip(-y / 30, 0, 1) ** 2 * 0.8 + 14 * np.clip((y - 5) / 35, 0, 1) ** 2
        body = _ellipse(u - bend - w / 2, y, w, length + 6)
        share = np.maximum(share, body * _cover(u - 1.5))
    return share


def _ellipse(x: np.ndarray, y: np.ndarray, half_x: float, half_y: float) -> np.ndarray:
    return _cover((1 - np.hypot(x / half_x, y / half_y)) * min(half_x, half_y))


def _cover(distance_mm: np.ndarray) -> np.ndarray:
    """Share of a pixel inside, for the distance to the border: partial volume over 2 mm."""
    return np.clip(distance_mm / 2 + 0.5, 0, 1)


def _acquire(rng: np.random.Generator, tissue: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Contrast of the scan, bias field, and Rician noise."""
    image = tissue ** rng.normal(1, 0.06) * rng.normal(0.95, 0.03)
    field = scipy.ndimage.gaussian_filter(rng.normal(size=tissue.shape), 60 / pixel_mm, mode="reflect")
    image = image * (1 + 0.04 * field / max(np.abs(field).max(), 1e-9))
    noise = rng.normal(0, 0.02, (2, *tissue.shape))
    noisy = np.hypot(image + noise[0], noise[1])
    return np.clip(np.where(tissue > 0, noisy, 0), 0, 1).astype(np.float32)
