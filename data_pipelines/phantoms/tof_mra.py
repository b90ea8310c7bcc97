"""A Time-of-Flight MR angiogram of the head at 3 T, by the signal equations of the paper's sequence.

Still tissue is in the steady state of a spoiled gradient echo (TR 28 ms, TE 3.4 ms, 17 degrees). Blood enters
each of four slabs from below with full magnetisation and loses it pulse by pulse: the slower and the farther
into the slab, the darker. So small arteries fade, and so do sacs, in which blood turns slowly.
"""

from dataclasses import dataclass

import numpy as np

from data_pipelines.phantoms import cerebral_arteries, chest_vessels, shapes
from data_pipelines.phantoms.cerebral_arteries import BRAIN_CENTRE_MM, BRAIN_HALF_MM
from data_pipelines.phantoms.chest_vessels import Tubes
from data_pipelines.phantoms.smooth_noise import SmoothNoise
from data_pipelines.two_point_spheres import pair_points

_TR_MS, _TE_MS, _FLIP = 28.0, 3.4, np.radians(17.0)
SLAB_MM = 25.4
"""A quarter of the paper's 254 slices of 0.4 mm."""

# Density of protons, T1 and T2* in ms at 3 T: usual values.
GREY, WHITE, FLUID, FAT, BLOOD = (
    (0.82, 1400.0, 50.0),
    (0.70, 850.0, 45.0),
    (1.00, 4300.0, 300.0),
    (0.55, 380.0, 30.0),
    (0.85, 1650.0, 50.0),
)
_SPEED_PER_RADIUS = 220.0
"""mm/s per mm: 440 mm/s in a carotid artery, 70 in the last ones."""
_SAC_SPEED = 80.0
_RADIUS_EDGES_MM = (0.45, 0.8, 1.4)
"""Arteries are drawn in classes of radius, each with the speed of its middle."""
_SPEEDS = tuple(_SPEED_PER_RADIUS * radius for radius in (0.35, 0.6, 1.1, 1.9))
SNR = 18.0
"""Of white matter."""


@dataclass(frozen=True)
class Angiogram:
    """A phantom.

    Attributes:
        image: (depth, height, width) float32 signal, as a magnitude: Rician noise included.
        points: (2 n, 3) neck and dome of each aneurysm in voxels along depth, height and width, placed with
            an error of `annotation_error_mm` along each axis.
        diameters_mm: (n,) true distances of neck and dome.
        arteries: (depth, height, width) share of each voxel inside arteries, aneurysms excluded.
    """

    image: np.ndarray
    points: np.ndarray
    diameters_mm: np.ndarray
    arteries: np.ndarray

    def spheres(self, voxel_mm: float) -> np.ndarray:
        """The annotation as (n, 4) centres in voxels and radii in mm."""
        return pair_points(self.points) * np.array([1, 1, 1, voxel_mm])


def steady_state(tissue: tuple[float, float, float]) -> float:
    """Signal of still tissue (density, T1, T2*): the Ernst equation with its decay by T2*."""
    density, t1, t2 = tissue
    recovery = np.exp(-_TR_MS / t1)
    factor = np.sin(_FLIP) * (1 - recovery) / (1 - np.cos(_FLIP) * recovery)
    return float(density * factor * np.exp(-_TE_MS / t2))


def inflow(way_mm: np.ndarray, speed_mm_s: float) -> np.ndarray:
    """Signal of blood after a way through the slab.

    The longitudinal magnetisation of n pulses is M_ss + (1 - M_ss) (cos a E1)^n, n = way / (speed TR).
    """
    density, t1, t2 = BLOOD
    recovery = np.exp(-_TR_MS / t1)
    kept = np.cos(_FLIP) * recovery
    rest = (1 - recovery) / (1 - kept)
    magnetisation = rest + (1 - rest) * kept ** (way_mm / (speed_mm_s * _TR_MS / 1000))
    return density * np.sin(_FLIP) * np.exp(-_TE_MS / t2) * magnetisation


def draw_angiogram(
    seed: int,
    *,
    shape: tuple[int, int, int],
    voxel_mm: float,
    num_aneurysms: int | None = None,
    with_arteries: bool = True,
    annotation_error_mm: float = 0.3,
) -> Angiogram:
    """Draws one patient about the circle of Willis.

    Args:
        seed: of everything.
        shape: (depth, height, width) in voxels; height and width are equal.
        voxel_mm: side of the cubic voxels.
        num_aneurysms: how many are tried; None draws one to five, as often as in the paper.
        with_arteries: without, there are neither arteries nor aneurysms.
        annotation_error_mm: standard deviation of the points along each axis.

    Returns:
        The angiogram and its annotation.

    Raises:
        ValueError: height and width differ.
    """
    depth, height, width = shape
    if height != width:
        raise ValueError(f"shape is {shape}; wanted equal height and width")
    rng = np.random.default_rng(np.random.SeedSequence([0x746F66, seed]))
    z, offset = (voxel_mm * (np.arange(n) - (n - 1) / 2) for n in (depth, height))
    image = _tissue(rng, z, offset, voxel_mm)
    arteries = np.zeros(shape, np.float32)
    points, diameters = np.zeros((0, 3)), np.zeros(0)
    if with_arteries:
        tubes = cerebral_arteries.draw_arteries(rng)
        count = cerebral_arteries.draw_number(rng) if num_aneurysms is None else num_aneurysms
        half = (width * voxel_mm / 2, height * voxel_mm / 2, depth * voxel_mm / 2)
        sacs = cerebral_arteries.draw_aneurysms(rng, tubes, half, count)
        arteries = _paint_arteries(image, tubes, z, offset, voxel_mm)
        _paint_sacs(image, sacs, z, offset, voxel_mm)
        ends = np.stack([sacs.neck, sacs.dome], axis=1).reshape(-1, 3)
        ends += rng.normal(0, annotation_error_mm, ends.shape)
        points, diameters = ends[:, ::-1] / voxel_mm + (np.array(shape) - 1) / 2, sacs.diameter_mm
    bias = SmoothNoise(rng, 60.0)
    field = np.stack([bias.slice_at(level, offset) for level in z])
    image *= np.exp(0.15 * field)
    sigma = steady_state(WHITE) / SNR
    real, imaginary = rng.standard_normal((2, *shape), dtype=np.float32) * np.float32(sigma)
    return Angiogram(np.hypot(image + real, imaginary).astype(np.float32), points, diameters, arteries)


def _way(z: np.ndarray) -> np.ndarray:
    """How far each slice lies above the lower face of its slab; a face lies at z = -2 SLAB_MM."""
    return np.mod(z, SLAB_MM)


def _tissue(rng: np.random.Generator, z: np.ndarray, offset: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Grey and white matter and fluid in a skull without signal, with fat around it."""
    mix, gaps = SmoothNoise(rng, 5.0), SmoothNoise(rng, 7.0)
    grey, white, fluid, fat = map(steady_state, (GREY, WHITE, FLUID, FAT))
    x, y = offset[None, :], offset[:, None]
    image = np.zeros((len(z), len(offset), len(offset)), np.float32)
    for level, page in zip(z, image, strict=True):
        matter = np.clip(0.5 + mix.slice_at(level, offset), 0, 1)
        free = np.clip(4 * (gaps.slice_at(level, offset) - 1.2), 0, 1)
        brain = (1 - free) * (grey + (white - grey) * matter) + free * fluid
        relative = (x - BRAIN_CENTRE_MM[0], y - BRAIN_CENTRE_MM[1], level - BRAIN_CENTRE_MM[2])
        distance = shapes.ellipsoid(*relative, BRAIN_HALF_MM)
        page[:] = fat * (shapes.coverage(distance - 13, voxel_mm) - shapes.coverage(distance - 7, voxel_mm))
        page += brain * shapes.coverage(distance, voxel_mm)
    return image


def _paint_arteries(
    image: np.ndarray, tubes: Tubes, z: np.ndarray, offset: np.ndarray, voxel_mm: float
) -> np.ndarray:
    """Paints arteries in place, faint ones first; returns their share of each voxel."""
    share = np.zeros_like(image)
    classes = np.digitize(tubes.radius_mm, _RADIUS_EDGES_MM)
    way = _way(z)
    for number, speed in enumerate(_SPEEDS):
        chosen = classes == number
        part = Tubes(tubes.start[chosen], tubes.end[chosen], tubes.radius_mm[chosen])
        for index, level in enumerate(z):
            # Two thin sections stand for a slice of voxel_mm.
            inside = np.mean(
                [
                    chest_vessels.tube_coverage(part, level + shift * voxel_mm, offset, voxel_mm)
                    for shift in (-0.25, 0.25)
                ],
                axis=0,
            )
            image[index] += inside * (inflow(way[index], speed) - image[index])
            np.maximum(share[index], inside, out=share[index])
    return share


def _paint_sacs(
    image: np.ndarray, sacs: cerebral_arteries.Aneurysms, z: np.ndarray, offset: np.ndarray, voxel_mm: float
) -> None:
    """Paints ellipsoids with axes along neck and dome, in place, over what is there."""
    grid = (offset[None, None, :], offset[None, :, None], z[:, None, None])
    signal = inflow(_way(z), _SAC_SPEED)[:, None, None]
    for neck, dome, width in zip(sacs.neck, sacs.dome, sacs.width, strict=True):
        diameter = np.linalg.norm(dome - neck)
        axis, middle = (dome - neck) / diameter, (neck + dome) / 2
        relative = [values - at for values, at in zip(grid, middle, strict=True)]
        along = sum(values * part for values, part in zip(relative, axis, strict=True))
        squares = sum(np.square(values) for values in relative)
        across = np.sqrt(np.maximum(squares - np.square(along), 0))
        distance = shapes.superellipse(along, across, diameter / 2, diameter / 2 * width)
        inside = shapes.coverage(distance, voxel_mm)
        np.maximum(image, image + inside * (signal - image), out=image)
