"""A block of nervous tissue in an electron microscope: mitochondria among membranes, vesicles and dendrites.

Nothing in it has a preferred orientation, as in a block of hippocampus at this scale: mitochondria are rods
with round ends in random directions, with a dark double membrane and dark cristae across a grey matrix;
plasma membranes are the level surfaces of an isotropic random field; vesicles and dark granules are small
spheres. The detector sees the electron density through the microscope's blur, with noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_pipelines.phantoms import shapes

CYTOPLASM, LUMEN, MATRIX, CRISTA, MEMBRANE, GRANULE = 0.72, 0.86, 0.50, 0.30, 0.22, 0.30
"""Brightness: heavy metals stain membranes, so that these are dark."""

_PER_CUBIC_MICROMETRE = 9.0
_VOLUME_SHARE = 0.12
_RADIUS_NM, _HALF_LENGTH_NM = (95.0, 170.0), (40.0, 330.0)
_MEMBRANE_NM, _CRISTA_PERIOD_NM = 22.0, 65.0
_CELL_NM = 260.0
_NOISE_STD, _TEXTURE_STD = 0.06, 0.05


@dataclass(frozen=True)
class Mitochondrion:
    """A rod with round ends; lengths in nm, positions from the corner of the block.

    Attributes:
        start: centre of one end.
        end: centre of the other.
        radius: of the rod.
        phase: of the cristae.
    """

    start: np.ndarray
    end: np.ndarray
    radius: float
    phase: float


def draw_block(seed: int, shape: tuple[int, int, int], voxel_nm: float) -> tuple[np.ndarray, np.ndarray]:
    """Draws a block of cubic voxels; the same arguments always give the same one.

    Args:
        seed: of the block.
        shape: depth, height and width in voxels.
        voxel_nm: side of a voxel.

    Returns:
        Brightness (depth, height, width) float32, about 0 (stained) to 1; and the mask of the mitochondria,
        uint8.
    """
    rng = np.random.default_rng([0x6D69746F, seed])
    image = _tissue(rng, shape, voxel_nm)
    label = np.zeros(shape, np.uint8)
    for one in _place(rng, np.array(shape) * voxel_nm):
        _paint(image, label, one, voxel_nm)
    image = ndimage.gaussian_filter(image, 0.6)
    image += _NOISE_STD * rng.standard_normal(shape, np.float32)
    return image.astype(np.float32), label


def _tissue(rng: np.random.Generator, shape: tuple[int, ...], voxel_nm: float) -> np.ndarray:
    """Cytoplasm and dendrites' lumen with the membranes between them, texture, vesicles and granules."""
    field = _smooth_noise(rng, shape, _CELL_NM / voxel_nm)
    image = np.where(field > 0.35, LUMEN, CYTOPLASM).astype(np.float32)
    image += _TEXTURE_STD * _smooth_noise(rng, shape, 30.0 / voxel_nm)
    slope = np.sqrt(sum(np.square(part) for part in np.gradient(field))) + 1e-3
    for level in (-0.9, 0.35):
        # The distance to the level surface, to first order, in voxels.
        distance = np.abs(field - level) / slope
        share = np.clip(0.5 + 0.5 * _MEMBRANE_NM / voxel_nm - distance, 0, 1)
        image += share * (MEMBRANE - image)
    volume_um3 = np.prod(shape) * (voxel_nm / 1000) ** 3
    for value, radius_nm, density in ((LUMEN, 35.0, 60.0), (GRANULE, 45.0, 14.0)):
        for centre in rng.uniform(0, 1, (rng.poisson(density * volume_um3), 3)) * np.array(shape):
            _paint_sphere(image, centre, radius_nm / voxel_nm, value)
    return image


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """An isotropic Gaussian field of zero mean and unit variance."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), max(sigma / 2, 0.5), mode="wrap")
    return (field - field.mean()) / field.std()


def _place(rng: np.random.Generator, size_nm: np.ndarray) -> Iterator[Mitochondrion]:
    """Places rods that do not touch, some reaching beyond the block, up to a density or share of volume."""
    volume_um3 = float(np.prod(size_nm / 1000))
    wanted = max(2, rng.poisson(_PER_CUBIC_MICROMETRE * volume_um3))
    taken_um3, placed = 0.0, []
    for _ in range(20 * wanted):
        if len(placed) == wanted or taken_um3 > _VOLUME_SHARE * volume_um3:
            break
        radius, half = rng.uniform(*_RADIUS_NM), rng.uniform(*_HALF_LENGTH_NM)
        direction = rng.standard_normal(3)
        direction *= half / np.linalg.norm(direction)
        centre = rng.uniform(0, 1, 3) * size_nm
        one = Mitochondrion(centre - direction, centre + direction, radius, rng.uniform(0, 2 * np.pi))
        if all(_gap(one, other) > 40 for other in placed):
            placed.append(one)
            taken_um3 += np.pi * radius**2 * (2 * half + 4 / 3 * radius) / 1e9
            yield one


def _gap(first: Mitochondrion, second: Mitochondrion) -> float:
    """Distance of two rods in nm, from points along their axes."""
    along = np.linspace(0, 1, 7)[:, None]
    points = [one.start + along * (one.end - one.start) for one in (first, second)]
    return (
        float(np.linalg.norm(points[0][:, None] - points[1][None], axis=-1).min())
        - first.radius
        - second.radius
    )


def _paint(image: np.ndarray, label: np.ndarray, one: Mitochondrion, voxel_nm: float) -> None:
    low = np.floor((np.minimum(one.start, one.end) - one.radius) / voxel_nm - 1).astype(int)
    high = np.ceil((np.maximum(one.start, one.end) + one.radius) / voxel_nm + 1).astype(int)
    box = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True))
    part = image[box]
    if not part.size:
        return
    z, y, x = (
        ((np.arange(size) + cut.start + 0.5) * voxel_nm).reshape([-1 if axis == k else 1 for k in range(3)])
        for axis, (size, cut) in enumerate(zip(part.shape, box, strict=True))
    )
    distance = shapes.capsule(z, y, x, tuple(one.start), tuple(one.end), one.radius)
    axis = (one.end - one.start) / np.linalg.norm(one.end - one.start)
    along = z * axis[0] + y * axis[1] + x * axis[2]
    cristae = np.clip(2.2 * np.cos(2 * np.pi * along / _CRISTA_PERIOD_NM + one.phase) - 0.9, 0, 1)
    inside = MATRIX + cristae * (CRISTA - MATRIX)
    rim = np.clip((distance + _MEMBRANE_NM) / voxel_nm + 0.5, 0, 1)
    value = inside + rim * (MEMBRANE - inside)
    part += shapes.coverage(distance, voxel_nm) * (value - part)
    label[box][distance < 0] = 1


def _paint_sphere(image: np.ndarray, centre: np.ndarray, radius: float, value: float) -> None:
    low, high = np.floor(centre - radius - 1).astype(int), np.ceil(centre + radius + 2).astype(int)
    box = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True))
    part = image[box]
    offsets = np.meshgrid(
        *(
            np.arange(size) + cut.start + 0.5 - c
            for size, cut, c in zip(part.shape, box, centre, strict=True)
        ),
        indexing="ij",
    )
    distance = np.sqrt(sum(np.square(offset) for offset in offsets)) - radius
    part += np.clip(0.5 - distance, 0, 1) * (value - part)
