"""Volumes of hearts as two kinds of data sets have them, with labels.

- "whole_heart": children and adults with congenital heart disease (small bodies, wide right ventricles and
  vessels), one free-breathing three-dimensional acquisition with T2 preparation and fat saturation,
  transverse and nearly isotropic, at low signal to noise. Labels: 1 ventricular myocardium, 2 blood pool with
  the vessels.
- "short_axis": adults, cine slices across the long axis, thick, with bright fat and inflow, flip angles and
  repetition times of several scanners. Labels: 1 left ventricle, 2 its wall, 3 right ventricle.

Both come from one anatomy (`cardiac_anatomy`) and the signal equations of `cardiac_contrast`.
"""

from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from data_pipelines.phantoms import cardiac_anatomy, cardiac_contrast
from data_pipelines.phantoms.cardiac_anatomy import Heart

Protocol = Literal["whole_heart", "short_axis"]

_NUM_SUBSLICES = 3


class Volume(NamedTuple):
    """Attributes: image, (depth, height, width) float32; label, uint8 of the same shape."""

    image: np.ndarray
    label: np.ndarray


def draw_volume(
    seed: int, protocol: Protocol, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> Volume:
    """Draws one subject, scanned once.

    Args:
        seed: of the subject; the protocols share none.
        protocol: see above.
        shape: depth, height and width in voxels.
        spacing_mm: of the voxels along these axes; slices are as thick as they are apart.

    Returns:
        The volume, centred on the ventricles but for a few millimetres.
    """
    rng = np.random.default_rng([seed, int(protocol == "short_axis")])
    heart, scale, frame = _plan(rng, protocol)
    centre = heart.local(0.42 * heart.length, 0.45 * heart.radius, 0.0) + rng.normal(0, 6, 3)
    if protocol == "whole_heart":
        # The great vessels lie above the ventricles.
        centre = centre + np.array([0.0, 0.0, 20.0])
    shares, labels = [], []
    for index in range(shape[0]):
        points = _slice_points(centre, frame / scale, index, shape, spacing_mm)
        found = cardiac_anatomy.shares_at(heart, points, spacing_mm[2] / scale)
        shares.append({tissue: share.mean(0) for tissue, share in found.items()})
        labels.append(_label(heart, points, shares[-1], protocol))
    stacked = {tissue: np.stack([one[tissue] for one in shares]) for tissue in shares[0]}
    return Volume(_acquire(stacked, protocol, rng), np.stack(labels))


def _plan(rng: np.random.Generator, protocol: Protocol) -> tuple[Heart, float, np.ndarray]:
    """The heart, its size beside an adult's, and the axes along which slices, rows and columns count."""
    heart = cardiac_anatomy.draw_heart(rng)
    if protocol == "whole_heart":
        heart = replace(
            heart,
            right=heart.right * rng.uniform(1.0, 1.45),
            aorta=heart.aorta * rng.uniform(0.9, 1.3),
            atrium=heart.atrium * rng.uniform(0.95, 1.25),
        )
        scale = float(rng.uniform(0.65, 1.0))
        frame = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
        return heart, scale, _tilt(frame, rng, 4)
    long, septal, third = heart.axes
    # Scanners turn short-axis images so that the right ventricle is on the viewer's left.
    return heart, 1.0, _tilt(np.stack([long, third, -septal]), rng, 7)


def _tilt(frame: np.ndarray, rng: np.random.Generator, degrees: float) -> np.ndarray:
    """Turns the axes (rows) by a small random rotation, and makes them orthonormal again."""
    turned = frame + np.cross(np.radians(rng.normal(0, degrees, 3)), frame)
    left, _, right = np.linalg.svd(turned)
    return left @ right


def _slice_points(
    centre: np.ndarray,
    frame: np.ndarray,
    index: int,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
) -> np.ndarray:
    """Positions (3, subslices, height, width) in one slice."""
    within = (np.arange(_NUM_SUBSLICES) + 0.5) / _NUM_SUBSLICES - 0.5
    along = (index - (shape[0] - 1) / 2 + within) * spacing_mm[0]
    down, right = (
        (np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape[1:], spacing_mm[1:], strict=True)
    )
    z, y, x = np.meshgrid(along, down, right, indexing="ij")
    offsets = np.stack([z, y, x]).astype(np.float32)
    return centre.astype(np.float32)[:, None, None, None] + np.tensordot(
        frame.T.astype(np.float32), offsets, 1
    )


def _label(heart: Heart, points: np.ndarray, shares: dict[str, np.ndarray], protocol: Protocol) -> np.ndarray:
    if protocol == "whole_heart":
        parts = [shares["myocardium"], shares["blood"]]
    else:
        inside = cardiac_anatomy.ventricles_at(heart, points)
        parts = [inside[name].mean(0) for name in ("left", "wall", "right")]
    stacked = np.stack([1 - np.sum(parts, axis=0), *parts])
    return stacked.argmax(0).astype(np.uint8)


def _acquire(shares: dict[str, np.ndarray], protocol: Protocol, rng: np.random.Generator) -> np.ndarray:
    """Contrast, coil and Rician noise."""
    if protocol == "whole_heart":
        plain = cardiac_contrast.balanced_ssfp(rng.uniform(70, 100), rng.uniform(3.2, 4.5), inflow=1.0)
        signals = cardiac_contrast.t2_prepared(plain, rng.uniform(30, 50))
        signal_to_noise = rng.uniform(8, 16)
    else:
        signals = cardiac_contrast.balanced_ssfp(rng.uniform(45, 70), rng.uniform(2.6, 3.6))
        signal_to_noise = rng.uniform(14, 35)
    image = np.zeros_like(shares["air"])
    for tissue, share in sorted(shares.items()):
        image += np.float32(signals[tissue] * rng.normal(1, 0.05)) * share
    image = image * _coil(image.shape, rng)
    sigma = image[image > 0.1 * image.max()].mean() / signal_to_noise
    noise = rng.normal(0, sigma, (2, *image.shape))
    return np.hypot(image + noise[0], noise[1]).astype(np.float32)


def _coil(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Sensitivity of surface coils: the exponential of a smooth quadratic."""
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij", sparse=True)
    field = sum(rng.normal(0, 0.18) * axis - abs(rng.normal(0, 0.12)) * axis**2 for axis in axes)
    return np.exp(field)
