"""Chest CT phantom: an adult thorax with lesions of a viral pneumonia, and scans of it.

Every subject is a set of continuous functions of position in mm, drawn from its seed alone; the grid
only samples them. Outlines are antialiased in the slice, slices are thin. The masks come from the
same functions as the HU, so they are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_pipelines.phantoms import (
    chest_anatomy,
    chest_lesions,
    chest_tissues,
    chest_vessels,
    ct_kernels,
    ct_scanner,
)
from data_pipelines.phantoms.smooth_noise import SmoothNoise

_NUM_SITES = 30000
"""Random positions in the bounding box of the lungs, about a quarter of which fall into them."""


@dataclass(frozen=True)
class Chest:
    """A phantom on a grid; all arrays are (depth, height, width).

    Attributes:
        hu: ideal image, float32.
        lesion: uint8, 1 where the lesion function is at least half its amplitude, inside the lungs.
        lungs: uint8, 1 inside the pleura, vessels and lesions included.
    """

    hu: np.ndarray
    lesion: np.ndarray
    lungs: np.ndarray


def draw_chest(
    seed: int, *, image_size: int, pixel_mm: float, num_slices: int, slice_mm: float, lesions: bool = True
) -> Chest:
    """Draws the phantom of one subject.

    The stack is centred on the middle of the lungs, which are about 250 mm high.

    Args:
        seed: of the subject; the same on every grid.
        image_size: height and width in pixels.
        pixel_mm: pixel size.
        num_slices: number of thin slices.
        slice_mm: distance between slices.
        lesions: False for a healthy subject of otherwise equal anatomy.

    Raises:
        ValueError: if the field of view is too small for the largest subject.
    """
    if image_size * pixel_mm < chest_anatomy.MIN_FIELD_OF_VIEW_MM:
        raise ValueError(
            f"field of view is {image_size * pixel_mm:g} mm (image_size x pixel_mm); "
            f"wanted at least {chest_anatomy.MIN_FIELD_OF_VIEW_MM:g} mm"
        )
    subject = _draw_subject(seed, lesions)
    offset_mm = ((np.arange(image_size) - (image_size - 1) / 2) * pixel_mm).astype(np.float32)
    heights_mm = (np.arange(num_slices) - (num_slices - 1) / 2) * slice_mm
    slices = [
        chest_tissues.paint_slice(subject, z, offset_mm, pixel_mm) for z in heights_mm.astype(np.float32)
    ]
    hu, lesion, lungs = (np.stack(parts) for parts in zip(*slices, strict=True))
    return Chest(hu, lesion, lungs)


def draw_scans(
    seed: int,
    kernels: Sequence[ct_kernels.Kernel],
    *,
    image_size: int,
    pixel_mm: float,
    num_slices: int,
    slice_mm: float,
    num_angles: int,
    lesions: bool = True,
) -> tuple[list[np.ndarray], Chest]:
    """Draws a subject, scans it once, and reconstructs the one noisy sinogram with each kernel.

    The dose is that of `ct_scanner.calibrated_scanner`.

    Args:
        seed: of the subject and of the photons.
        kernels: reconstruction kernels; the images share anatomy and noise and differ in nothing else.
        image_size: height and width in pixels.
        pixel_mm: pixel size.
        num_slices: number of thin slices.
        slice_mm: distance between slices.
        num_angles: projections over 180 degrees.
        lesions: False for a healthy subject.

    Returns:
        (depth, height, width) int16 HU as stored by a scanner, one volume per kernel, and the phantom.
    """
    chest = draw_chest(
        seed,
        image_size=image_size,
        pixel_mm=pixel_mm,
        num_slices=num_slices,
        slice_mm=slice_mm,
        lesions=lesions,
    )
    scanner = ct_scanner.calibrated_scanner(num_angles, pixel_mm)
    sinogram = ct_scanner.acquire(chest.hu, pixel_mm, scanner, seed)
    volumes = [ct_scanner.reconstruct(sinogram, pixel_mm, kernel) for kernel in kernels]
    return [ct_scanner.stored(volume) for volume in volumes], chest


def _draw_subject(seed: int, lesions: bool) -> chest_tissues.Subject:
    """Draws everything that does not depend on the grid, each part from its own stream."""
    streams = [np.random.Generator(np.random.Philox(key=[seed, part])) for part in range(4)]
    anatomy = chest_anatomy.draw_anatomy(streams[0])
    box = np.array([anatomy.cavity_half_width, anatomy.half_depth, 140.0])
    sites = streams[1].uniform(-box, box, (_NUM_SITES, 3))
    depth_mm = -chest_anatomy.lungs(anatomy, *sites.T)
    sites, depth_mm = sites[depth_mm > 1.5], depth_mm[depth_mm > 1.5]
    bend = (SmoothNoise(streams[3], 45.0), SmoothNoise(streams[3], 45.0))
    tubes = chest_vessels.draw_tubes(streams[1], chest_anatomy.HILA, sites, depth_mm)
    vessels, bronchi = (chest_vessels.displaced(part, bend, -chest_tissues.BEND_MM) for part in tubes)
    found = chest_lesions.draw_lesions(streams[2], sites, depth_mm) if lesions else []
    fine, coarse = SmoothNoise(streams[3], 4.0), SmoothNoise(streams[3], 9.0)
    return chest_tissues.Subject(anatomy, vessels, bronchi, tuple(found), fine, coarse, bend)
