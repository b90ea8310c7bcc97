"""Chest radiographs by projection: normal lungs, diffuse opacities, and focal ones.

The chest is made of ellipsoids and tubes whose path lengths along the (parallel, posterior-anterior) beam
have closed forms. Attenuation is mu = mu_water rho / rho_water with the densities of tissues; a detector
counts Poisson quanta behind it, its blur is Gaussian, and the picture is the logarithm, scaled to the range
of the image, as a radiography system displays it. All lengths are in mm.
"""

from typing import Literal

import numpy as np
from scipy import ndimage

Finding = Literal["normal", "diffuse", "focal"]
FINDINGS: tuple[Finding, ...] = ("normal", "diffuse", "focal")

FIELD_MM = 380.0
"""Width and height of the detector."""

MU_WATER_PER_MM = 0.0185
"""Attenuation of water at an effective energy of 70 keV (a tube at 120 kV with a hard filter)."""

_LUNG_DENSITY = (0.2, 0.32)
_BONE_DENSITY = 1.45
_FOCAL_DENSITY = (0.5, 1.0)
"""Of consolidated lung, relative to water: part of the air is left, or none."""
_DIFFUSE_DENSITY = (0.05, 0.4)
"""What ground glass adds to the density of lung where it is strongest."""
_QUANTA = (2e4, 8e4)
"""Per square mm of the detector without a patient, times its efficiency."""
_BLUR_MM = 0.4
_RIBS = 9


def draw_radiograph(seed: int, finding: Finding, size: int) -> np.ndarray:
    """Draws one radiograph of one subject.

    Args:
        seed: of the subject and the noise; the finding does not change the subject.
        finding: "normal"; "diffuse", several ground-glass areas of both lungs, more of them towards the lower
            and outer parts, as in COVID-19; "focal", one or two dense areas of one lung, as in lobar
            pneumonia. Their extents and densities vary from hardly visible to severe.
        size: height and width of the image in pixels.

    Returns:
        (size, size) uint8: dense is bright; the subject's left is at the right.
    """
    subject, disease, noise = (np.random.default_rng([seed, stream]) for stream in range(3))
    offsets = (np.arange(size) + 0.5) / size * FIELD_MM - FIELD_MM / 2
    tilt = np.deg2rad(subject.normal(0, 2))
    shift = subject.normal(0, 8, 2)
    across, down = np.meshgrid(offsets - shift[0], offsets - shift[1])
    across, down = (
        across * np.cos(tilt) + down * np.sin(tilt),
        down * np.cos(tilt) - across * np.sin(tilt),
    )
    lungs, water = _anatomy(subject, across, down)
    density = np.zeros_like(across)
    if finding == "diffuse":
        density = _diffuse(disease, lungs, across, down)
    elif finding == "focal":
        density = _focal(disease, lungs, across, down)
    return _expose(subject, noise, water + density, size)


def _ellipsoid(across, down, centre, radii) -> np.ndarray:
    """Path length through an ellipsoid with radii across, down and along the beam."""
    square = ((across - centre[0]) / radii[0]) ** 2 + ((down - centre[1]) / radii[1]) ** 2
    return 2 * radii[2] * np.sqrt(np.maximum(1 - square, 0))


def _box(across, down, centre, radii) -> np.ndarray:
    """Path length through a superellipsoid of exponent 3: fuller than an ellipsoid, as lungs are."""
    cube = np.abs((across - centre[0]) / radii[0]) ** 3 + np.abs((down - centre[1]) / radii[1]) ** 3
    return 2 * radii[2] * np.maximum(1 - cube, 0) ** (1 / 3)


def _anatomy(rng: np.random.Generator, across, down) -> tuple[list[dict], np.ndarray]:
    """The lungs, and the length of water that attenuates as the normal chest does, in mm."""
    scale = rng.normal(1, 0.07)
    thickness = rng.uniform(85, 125) * scale
    # Arms are lifted out of the field; shoulders widen the body towards the top.
    width = 172 * scale * (1 + 0.06 * np.clip(-down / 150, -1, 1))
    water = 2 * thickness * np.sqrt(np.maximum(1 - (across / width) ** 2, 0))
    lung_density = rng.uniform(*_LUNG_DENSITY)
    depth = thickness * rng.uniform(0.68, 0.8)
    base = rng.normal(0, 10)
    lungs = []
    for side in (-1, 1):
        centre = (side * 72 * scale, -8.0 + base / 2)
        radii = ((56 if side < 0 else 52) * scale, 122 * scale + base, depth)
        # Lungs narrow towards the apex, on their outer side.
        narrowing = 1 + 0.5 * np.clip(-(down - centre[1]) / radii[1], 0, 1) ** 2
        inner = side * 18 * scale
        length = _box(inner + (across - inner) * narrowing, down, centre, radii)
        # The dome of the diaphragm, higher under the right lung.
        dome = down - (88 * scale + base + (0 if side < 0 else 10)) - ((across - centre[0]) / 18) ** 2
        length *= 1 / (1 + np.exp(dome / 4))
        lungs.append({"centre": centre, "radii": radii, "length": length, "density": lung_density})
    heart_size = rng.normal(1, 0.1)
    heart = _ellipsoid(across, down, (22 * scale, 48 * scale), (58 * scale * heart_size, 62 * scale, 46.0))
    vessels = _ellipsoid(across, down, (2.0, -52 * scale), (24 * scale, 60 * scale, 34.0))
    for lung in lungs:
        lung["length"] = np.maximum(lung["length"] - np.maximum(heart, vessels), 0)
        water = water - (1 - lung_density) * lung["length"]
    return lungs, water + _hila(rng, lungs, across, down, scale) + _bones(rng, across, down, scale)


def _hila(rng, lungs: list[dict], across, down, scale: float) -> np.ndarray:
    """Pulmonary vessels: tubes that branch out from the hila and grow thinner."""
    total = np.zeros_like(across)
    for side, lung in zip((-1, 1), lungs, strict=True):
        for _ in range(14):
            start = np.array([side * 30 * scale, -10 * scale]) + rng.normal(0, 8, 2)
            angle, length = rng.uniform(-1.3, 1.3), rng.uniform(35, 85) * scale
            direction = np.array([side * np.cos(angle), np.sin(angle)])
            along = (across - start[0]) * direction[0] + (down - start[1]) * direction[1]
            beside = (down - start[1]) * direction[0] - (across - start[0]) * direction[1]
            radius = rng.uniform(2.0, 5.0) * np.clip(1 - along / length, 0, 1) * (along > 0)
            total += 2 * np.sqrt(np.maximum(radius**2 - beside**2, 0)) * (lung["length"] > 0)
    return total * (1 - lungs[0]["density"])


def _bones(rng, across, down, scale: float) -> np.ndarray:
    """Spine, ribs and clavicles: what they attenuate beyond the soft tissue in their place."""
    spine = _box(across, down, (0.0, 0.0), (17 * scale, 400.0, 15.0)) * (0.8 + 0.2 * np.cos(down / 4))
    total = spine
    pitch, slope = rng.normal(25, 1.5) * scale, rng.normal(0.35, 0.06)
    for number in range(_RIBS):
        top = -118 + 0.95 * number * pitch
        outward = np.abs(across)
        # Posterior ribs fall outwards, anterior ones inwards and steeper.
        for centre_line, radius in (
            (top + slope * outward - 20, 5.0),
            (top + 48 + 0.0027 * (outward - 150) ** 2 - 0.25 * outward, 5.5),
        ):
            wall = 2 * np.sqrt(np.maximum(radius**2 - (down - centre_line) ** 2, 0))
            total = total + wall * ((outward > 18) & (outward < 135 * scale))
    clavicle = -128 * scale - 0.18 * np.abs(across) + rng.normal(0, 4)
    total = total + 2 * np.sqrt(np.maximum(6.0**2 - (down - clavicle) ** 2, 0)) * (np.abs(across) > 20)
    return (_BONE_DENSITY - 1) * total


def _blob(rng, across, down, centre, radii) -> np.ndarray:
    """A ragged area, 1 in its middle and 0 outside."""
    angle = np.arctan2(down - centre[1], across - centre[0])
    distance = np.hypot((across - centre[0]) / radii[0], (down - centre[1]) / radii[1])
    rim = 1 + sum(rng.normal(0, 0.06) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(2, 6))
    return 1 / (1 + np.exp((distance - rim) / 0.12))


def _diffuse(rng, lungs: list[dict], across, down) -> np.ndarray:
    """Water that ground glass adds: several patches of both lungs, outer and lower ones the likelier."""
    severity = rng.uniform(*_DIFFUSE_DENSITY)
    total = np.zeros_like(across)
    for side, lung in zip((-1, 1), lungs, strict=True):
        extent = np.zeros_like(across)
        for _ in range(rng.integers(2, 6)):
            x, y = side * rng.beta(2.5, 1.2), 2 * rng.beta(2.2, 1.4) - 1
            centre = (
                lung["centre"][0] * 0.35 + x * lung["radii"][0] * 1.3,
                lung["centre"][1] + 0.75 * y * lung["radii"][1],
            )
            extent = np.maximum(extent, _blob(rng, across, down, centre, rng.uniform(14, 38, 2)))
        total += severity * extent * lung["length"] * rng.uniform(0.5, 0.9)
    return total


def _focal(rng, lungs: list[dict], across, down) -> np.ndarray:
    """Water that consolidations add: one or two dense areas in one lung."""
    lung = lungs[rng.integers(2)]
    density = rng.uniform(*_FOCAL_DENSITY) - lung["density"]
    extent = np.zeros_like(across)
    for _ in range(rng.integers(1, 3)):
        place = rng.uniform(-0.6, 0.6, 2)
        centre = (
            lung["centre"][0] + place[0] * lung["radii"][0],
            lung["centre"][1] + place[1] * lung["radii"][1],
        )
        radius = rng.uniform(8, 34)
        # A ball: as thick as it is wide.
        blob = _blob(rng, across, down, centre, (radius, radius * rng.uniform(0.7, 1.3)))
        extent = np.maximum(extent, blob * 2 * radius)
    return density * np.minimum(extent, lung["length"])


def _expose(subject, noise, water_mm: np.ndarray, size: int) -> np.ndarray:
    """Counts quanta behind that much water, and displays the negative logarithm."""
    pixel_mm = FIELD_MM / size
    quanta = subject.uniform(*_QUANTA) * pixel_mm**2
    expected = quanta * np.exp(-MU_WATER_PER_MM * np.maximum(water_mm, 0))
    counts = noise.poisson(np.maximum(ndimage.gaussian_filter(expected, _BLUR_MM / pixel_mm), 1e-3))
    line = -np.log(np.maximum(counts, 1) / quanta)
    low, high = np.percentile(line, (1, 99.5))
    return np.rint(255 * np.clip((line - low) / (high - low), 0, 1)).astype(np.uint8)
