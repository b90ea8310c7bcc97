"""Volumes of brains with lesions as two kinds of data sets have them, with labels.

- "hyperintensities": the ageing brain with white matter hyperintensities, small lesions around the ventricles
  and scattered in the white matter; heads with skull and scalp; T1 and FLAIR. Label: 1 hyperintensity.
- "glioma": one high-grade glioma, a necrotic core with an enhancing rim in an infiltrating oedema; brains
  without their skulls; T1, FLAIR, T1 with gadolinium, and T2. Labels: 1 necrosis, 2 oedema, 3 enhancing
  tumour. There is no mass effect.

Every sequence follows its signal equation with relaxation times of 3 T (`TISSUES`).
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from scipy import ndimage

from data_pipelines.phantoms import shapes
from data_pipelines.phantoms.smooth_noise import SmoothNoise

Disease = Literal["hyperintensities", "glioma"]

SEQUENCES: Mapping[Disease, tuple[str, ...]] = {
    "hyperintensities": ("T1", "FLAIR"),
    "glioma": ("T1", "FLAIR", "T1Gd", "T2"),
}
"""In the order of the image's channels."""

TISSUES = {
    "air": (1000.0, 50.0, 0.0),
    "csf": (4000.0, 1800.0, 1.0),
    "grey": (1400.0, 100.0, 0.86),
    "white": (850.0, 75.0, 0.72),
    "hyperintensity": (1250.0, 125.0, 0.85),
    "oedema": (1400.0, 140.0, 0.86),
    "enhancing": (1500.0, 115.0, 0.85),
    "necrosis": (2400.0, 260.0, 0.93),
    "bone": (900.0, 5.0, 0.1),
    "scalp": (380.0, 70.0, 0.9),
}
"""T1 in ms, T2 in ms and proton density relative to water, rounded from the usual tables for 3 T."""

_ENHANCED_T1_MS = {"enhancing": 420.0, "scalp": 350.0}
"""After gadolinium; brain behind its barrier keeps its own."""


class Volume(NamedTuple):
    """One subject.

    Attributes:
        image: (depth, height, width, sequences) float32, 0 where the skull was taken off.
        label: (depth, height, width) uint8.
    """

    image: np.ndarray
    label: np.ndarray


class _Head(NamedTuple):
    """A head without lesions.

    Attributes:
        shares: of the tissues in each voxel, 1 in sum.
        brain: share of the brain, with the fluid in and around it.
        white: share of white matter.
        from_ventricle_mm: distance to the ventricles, negative inside.
    """

    shares: dict[str, np.ndarray]
    brain: np.ndarray
    white: np.ndarray
    from_ventricle_mm: np.ndarray


def draw_volume(
    seed: int, disease: Disease, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> Volume:
    """Draws one subject, scanned with all the sequences of the data set.

    Args:
        seed: of the subject; the diseases share none.
        disease: see above.
        shape: depth, height and width in voxels.
        spacing_mm: of the voxels along these axes.

    Returns:
        The volume, centred on the brain.
    """
    rng = np.random.default_rng([seed, int(disease == "glioma")])
    axes = tuple(
        (np.arange(size) - (size - 1) / 2) * step for size, step in zip(shape, spacing_mm, strict=True)
    )
    blur = float(np.mean(spacing_mm))
    head = _draw_head(rng, axes, blur, elderly=disease == "hyperintensities")
    if disease == "hyperintensities":
        lesions = {"hyperintensity": _hyperintensities(rng, axes, head)}
    else:
        lesions = _glioma(rng, axes, head, blur)
    shares = dict(head.shares)
    for name, inside in lesions.items():
        shares = {tissue: share * (1 - inside) for tissue, share in shares.items()}
        shares[name] = inside
    label = np.zeros(shape, np.uint8)
    for number, name in enumerate(("necrosis", "oedema", "enhancing") if disease == "glioma" else lesions, 1):
        label[shares[name] > 0.5] = number
    image = np.stack([acquire(shares, name, rng) for name in SEQUENCES[disease]], axis=-1)
    if disease == "glioma":
        image *= (head.brain > 0.5)[..., None]
    return Volume(image.astype(np.float32), label)


def signal(sequence: str, t1: float, t2: float, density: float) -> float:
    """Signal of a tissue by the equation of the sequence; T1 is given as it is after any contrast agent.

    T1 and T1Gd: spoiled gradient echoes, rho sin(a) (1 - E1) / (1 - E1 cos(a)) with a = 22 degrees and TR
    25 ms. T2: rho (1 - exp(-TR / T1)) exp(-TE / T2) with 5000 and 95 ms. FLAIR:
    rho |1 - 2 exp(-TI / T1) + exp(-TR / T1)| exp(-TE / T2) with TR 9000 and TE 110 ms, TI such that
    cerebrospinal fluid gives nothing.
    """
    if sequence in ("T1", "T1Gd"):
        angle, e1 = np.radians(22.0), np.exp(-25.0 / t1)
        return float(density * np.sin(angle) * (1 - e1) / (1 - e1 * np.cos(angle)))
    if sequence == "T2":
        return float(density * (1 - np.exp(-5000.0 / t1)) * np.exp(-95.0 / t2))
    csf_t1 = TISSUES["csf"][0]
    inversion = csf_t1 * np.log(2 / (1 + np.exp(-9000.0 / csf_t1)))
    left = abs(1 - 2 * np.exp(-inversion / t1) + np.exp(-9000.0 / t1))
    return float(density * left * np.exp(-110.0 / t2))


def _draw_head(
    rng: np.random.Generator, axes: tuple[np.ndarray, ...], blur_mm: float, *, elderly: bool
) -> _Head:
    """Brain with folds, ventricles and deep nuclei; around it fluid, skull and scalp."""
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    half = (rng.normal(67, 2.5), rng.normal(84, 3), rng.normal(62, 2.5))
    atrophy = float(np.clip(rng.normal(0.55, 0.2) if elderly else rng.normal(0.15, 0.12), 0, 1))
    surface = shapes.ellipsoid(x, y, z, half)
    folds = SmoothNoise(rng, 6.5).on_grid(*axes)
    # Folds reach deeper where they are sulci; atrophy widens these.
    sulcus = np.maximum(-folds, 0) * (2.5 + 4 * atrophy)
    cortex_mm = rng.normal(6.5, 0.4) - 1.5 * atrophy
    brain = shapes.coverage(surface, blur_mm)
    tissue = shapes.coverage(surface + sulcus + 1.0, blur_mm)
    white = shapes.coverage(surface + sulcus + cortex_mm + 2.5 * folds, blur_mm)
    ventricle = ventricles(rng, x, y, z, atrophy)
    nuclei = shapes.coverage(shapes.ellipsoid(np.abs(x) - 20, y + 2, z - 2, (8.0, 18.0, 12.0)), blur_mm)
    white = white * (1 - nuclei)
    fluid = shapes.coverage(ventricle, blur_mm)
    shares = {
        "white": white * tissue * (1 - fluid),
        "grey": (1 - white) * tissue * (1 - fluid),
        "csf": brain * (1 - tissue * (1 - fluid)),
    }
    skull, scalp = (shapes.coverage(surface - thickness, blur_mm) for thickness in (9.0, 15.0))
    shares["bone"] = np.maximum(skull - brain, 0)
    shares["scalp"] = np.maximum(scalp - np.maximum(skull, brain), 0)
    shares["air"] = np.maximum(1 - sum(shares.values()), 0)
    shares = {tissue: np.asarray(share, np.float32) for tissue, share in shares.items()}
    return _Head(shares, np.asarray(brain), shares["white"], np.asarray(ventricle))


def ventricles(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, z: np.ndarray, atrophy: float
) -> np.ndarray:
    """Distance to both lateral ventricles: bodies that bend outwards to the front and the back."""
    width, length = 3.5 + 6 * atrophy + abs(rng.normal(0, 0.5)), 30 + 8 * atrophy
    bend = 4 + width + 9 * (y / 40) ** 2
    return np.minimum(
        *(
            shapes.ellipsoid(
                side * x - bend, y + 2, z - 8 - 4 * (y / 40) ** 2, (width, length, 1.6 * width + 4)
            )
            for side in (-1, 1)
        )
    )


def _hyperintensities(rng: np.random.Generator, axes: tuple[np.ndarray, ...], head: _Head) -> np.ndarray:
    """Lesions where a smooth random field, raised near the ventricles, exceeds the subject's threshold."""
    field = SmoothNoise(rng, rng.uniform(5.0, 7.5)).on_grid(*axes)
    near = np.exp(-np.maximum(head.from_ventricle_mm, 0) / 7.0)
    threshold = rng.uniform(1.8, 2.7)
    return np.clip(4 * (field + 1.6 * near - threshold) + 0.5, 0, 1) * head.white


def _glioma(
    rng: np.random.Generator, axes: tuple[np.ndarray, ...], head: _Head, blur_mm: float
) -> dict[str, np.ndarray]:
    """Oedema that follows white matter, then the enhancing tumour and its necrosis, each within the other."""
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    side = rng.choice([-1, 1])
    centre = (side * rng.uniform(20, 40), rng.uniform(-42, 40), rng.uniform(-12, 28))
    radius = rng.uniform(11, 21)
    distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
    shape = radius * 0.18 * SmoothNoise(rng, 9.0).on_grid(*axes)
    spread = rng.uniform(6, 16) * np.clip(1 + 0.5 * SmoothNoise(rng, 12.0).on_grid(*axes), 0.2, 2)
    tumour = distance + shape - radius
    inside = head.brain * (1 - head.shares["csf"])
    return {
        "oedema": shapes.coverage(tumour - spread, blur_mm) * np.maximum(head.white, 0.3 * inside),
        "enhancing": shapes.coverage(tumour, blur_mm) * head.brain,
        "necrosis": shapes.coverage(tumour + rng.uniform(0.3, 0.6) * radius, blur_mm) * head.brain,
    }


def acquire(shares: Mapping[str, np.ndarray], sequence: str, rng: np.random.Generator) -> np.ndarray:
    """Contrast with a few percent between subjects, bias field and Rician noise."""
    image = np.zeros_like(shares["air"])
    for tissue, share in sorted(shares.items()):
        t1, t2, density = TISSUES[tissue]
        if sequence == "T1Gd":
            t1 = _ENHANCED_T1_MS.get(tissue, t1)
        value = signal(sequence, t1 * rng.normal(1, 0.03), t2 * rng.normal(1, 0.03), density)
        image += np.float32(value) * share
    bias = ndimage.gaussian_filter(
        rng.normal(size=image.shape), [0.4 * n for n in image.shape], mode="reflect"
    )
    image = image * (1 + 0.1 * bias / max(float(np.abs(bias).max()), 1e-9))
    sigma = image[shares["white"] > 0.5].mean() / rng.uniform(15, 35)
    noise = rng.normal(0, sigma, (2, *image.shape))
    return np.hypot(image + noise[0], noise[1])
