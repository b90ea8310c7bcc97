"""A cardiac MR volume of anisotropic voxels with the mask of the left atrium, cut from the torso phantom.

The balanced gradient echo shows all blood alike, so that the atrium differs from the ventricles, the other
atrium and the vessels by its place and form, not by its intensity; and every subject lies in the scanner the
same way round.
"""

import numpy as np

from data_pipelines.phantoms import cardiac_anatomy, cardiac_contrast, shapes
from data_pipelines.phantoms.smooth_noise import SmoothNoise

_NOISE_STD = 0.012
_BIAS_STD, _BIAS_CELL_MM = 0.12, 90.0
_SHIFT_MM = 10.0
_NUM_SUBSLICES = 3


def draw_volume(
    seed: int, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a subject; the same arguments always give the same one.

    Slices average `_NUM_SUBSLICES` thin ones over their thickness, as partial volume does. The coil's
    sensitivity varies smoothly, and the noise is that of a magnitude (Rice).

    Args:
        seed: of the subject.
        shape: depth (superior), height (posterior) and width (left) in voxels.
        spacing_mm: of the voxels.

    Returns:
        Signal (depth, height, width) float32, and the mask of the left atrium, uint8.
    """
    rng = np.random.default_rng([0x61747269, seed])
    heart = cardiac_anatomy.draw_heart(rng)
    centre = np.array([-5.0, 5.0, 5.0]) + rng.uniform(-_SHIFT_MM, _SHIFT_MM, 3)
    z, y, x = ((np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing_mm, strict=True))
    signals = cardiac_contrast.balanced_ssfp()
    noise_field = SmoothNoise(rng, _BIAS_CELL_MM)
    image, label = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    sub_mm = spacing_mm[0] / _NUM_SUBSLICES
    for index, height in enumerate(z):
        for step in range(_NUM_SUBSLICES):
            at = height + (step - (_NUM_SUBSLICES - 1) / 2) * sub_mm
            points = _slice_points(x, y, at, centre)
            image[index] += _signal(heart, points, signals, spacing_mm[2]) / _NUM_SUBSLICES
        points = _slice_points(x, y, height, centre)
        label[index] = cardiac_anatomy.left_atrium(heart, points) < 0
        image[index] *= np.exp(_BIAS_STD * noise_field.at(points.reshape(3, -1).T)).reshape(shape[1:])
    real, imaginary = _NOISE_STD * rng.standard_normal((2, *shape), np.float32)
    return np.hypot(image + real, imaginary), label


def _slice_points(x: np.ndarray, y: np.ndarray, z: float, centre: np.ndarray) -> np.ndarray:
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    return np.stack([grid_x, grid_y, np.full_like(grid_x, z)]) + centre[:, None, None]


def _signal(
    heart: cardiac_anatomy.Heart, points: np.ndarray, signals: dict[str, float], pixel_mm: float
) -> np.ndarray:
    image = np.full(points.shape[1:], signals["air"])
    for tissue, distance in cardiac_anatomy.shapes_at(heart, points):
        image += shapes.coverage(distance, pixel_mm) * (signals[tissue] - image)
    return image
