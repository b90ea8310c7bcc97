"""A CT scanner for phantoms: parallel-beam projections with quantum noise, filtered back-projection.

Model: one energy, no scatter, no bow-tie filter, no focal-spot blur, thin slices that do not overlap;
the detector pitch is the pixel size, and the rotation centre is the centre of the image. Attenuation
is mu = mu_water (1 + HU / 1000). The projector integrates every square pixel exactly over every
detector cell. It shares no code with the Radon transforms that are trained with.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from data_pipelines.phantoms import ct_kernels

WATER_PER_MM = 0.0195
"""Linear attenuation of water near 68 keV, the mean energy of a 120 kV beam, in 1/mm."""

AIR_HU = -1000.0
STORED_RANGE_HU = (-1024, 3071)
"""Range of a 12-bit CT image."""

QA_PHANTOM_MM = 200.0
"""Diameter of the water phantom in which image noise is specified."""

SOFT_NOISE_HU = 15.0
"""Noise of `SMOOTH` in the centre of that phantom: a thin-slice chest protocol."""


@dataclass(frozen=True)
class Scanner:
    """Geometry and dose.

    Attributes:
        num_angles: projections over 180 degrees.
        photons: mean photon count of a detector cell in one projection, without a patient.
    """

    num_angles: int
    photons: float


def calibrated_scanner(num_angles: int, pixel_mm: float, *, noise_hu: float = SOFT_NOISE_HU) -> Scanner:
    """Scanner whose dose gives a stated image noise with `SMOOTH` in a 20 cm water phantom.

    In the centre of filtered back-projection with n angles and pitch d,
    sigma_mu^2 = pi^2 g / (12 n d^2) exp(200 mm mu_water) / photons, with g the kernel's noise gain.
    On coarse grids this needs fewer photons per cell than a clinical scanner has: the count is chosen
    so that the image noise is the clinical one, not so that the dose is.

    Args:
        num_angles: projections over 180 degrees.
        pixel_mm: pixel size and detector pitch.
        noise_hu: standard deviation in the centre of the water phantom.
    """
    sigma_mu = noise_hu * WATER_PER_MM / 1000
    gain = np.pi**2 * ct_kernels.SMOOTH.noise_gain() / (12 * num_angles * pixel_mm**2)
    return Scanner(num_angles, gain * math.exp(QA_PHANTOM_MM * WATER_PER_MM) / sigma_mu**2)


def project(attenuation: np.ndarray, pixel_mm: float, num_angles: int) -> np.ndarray:
    """Line integrals averaged over the detector cells (parallel-beam Radon transform of square pixels).

    The shadow of a square pixel is a trapezoid; its overlap with each cell is exact. Cell k of n is
    centred at (k - (n - 1) / 2) pixel_mm; angle a is a pi / num_angles, and t = x cos + y sin.

    Args:
        attenuation: (depth, size, size) in 1/mm, 0 outside the inscribed circle.
        pixel_mm: pixel size and detector pitch.
        num_angles: projections over 180 degrees.

    Returns:
        (depth, num_angles, size) float32, dimensionless.

    Raises:
        ValueError: if the slices are not square or the object leaves the inscribed circle.
    """
    if attenuation.ndim != 3 or attenuation.shape[1] != attenuation.shape[2]:
        raise ValueError(f"object has shape {attenuation.shape}; wanted (depth, size, size)")
    depth, size, _ = attenuation.shape
    if attenuation[:, ~field_of_view(size)].any():
        raise ValueError("object reaches out of the inscribed circle; its projections would be truncated")
    pixels = np.flatnonzero(attenuation.any(axis=0))
    values = np.ascontiguousarray(attenuation.reshape(depth, -1)[:, pixels].T, dtype=np.float32)
    x, y = _pixel_centres(size, pixels)
    sinogram = np.empty((depth, num_angles, size), np.float32)
    for view, (cos, sin) in enumerate(_directions(num_angles)):
        shadows = _shadow_matrix(x * cos + y * sin, abs(cos), abs(sin), size)
        sinogram[:, view] = (shadows @ values)[1:-1].T
    return sinogram * np.float32(pixel_mm)


def acquire(hu: np.ndarray, pixel_mm: float, scanner: Scanner, seed: int) -> np.ndarray:
    """Sinogram of a scan: line integrals with the noise of counted photons.

    -log(max(N, 1) / photons) with N Poisson of mean photons exp(-line integral), independent over
    slices, angles and cells.

    Args:
        hu: (depth, size, size) object in HU; air outside the inscribed circle.
        pixel_mm: pixel size and detector pitch.
        scanner: geometry and dose.
        seed: of the photons.

    Returns:
        (depth, num_angles, size) float32, dimensionless.

    Raises:
        ValueError: if the slices are not square or the object leaves the inscribed circle.
    """
    attenuation = np.maximum(hu - np.float32(AIR_HU), 0) * np.float32(WATER_PER_MM / 1000)
    lines = project(attenuation, pixel_mm, scanner.num_angles)
    rng = np.random.Generator(np.random.Philox(seed))
    counts = rng.poisson(scanner.photons * np.exp(-lines.astype(np.float64)))
    return np.log(scanner.photons / np.maximum(counts, 1)).astype(np.float32)


def reconstruct(sinogram: np.ndarray, pixel_mm: float, kernel: ct_kernels.Kernel) -> np.ndarray:
    """Filtered back-projection in HU: band-limited ramp times kernel, linear interpolation.

    Outside the inscribed circle the image is air.

    Args:
        sinogram: (depth, num_angles, size), dimensionless.
        pixel_mm: pixel size and detector pitch.
        kernel: response relative to the ramp.

    Returns:
        (depth, size, size) float32 in HU.

    Reference: Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), section 3.3.
    """
    depth, num_angles, size = sinogram.shape
    filtered = _filter(sinogram, kernel) * np.float32(np.pi / (num_angles * pixel_mm * WATER_PER_MM) * 1000)
    cells = np.ascontiguousarray(filtered.transpose(1, 2, 0))
    inside = field_of_view(size)
    x, y = _pixel_centres(size, np.flatnonzero(inside))
    total = np.zeros((x.size, depth), np.float32)
    for view, (cos, sin) in enumerate(_directions(num_angles)):
        total += _interpolation_matrix(x * cos + y * sin, size) @ cells[view]
    image = np.full((depth, size, size), AIR_HU, np.float32)
    image[:, inside] += total.T
    return image


def stored(hu: np.ndarray) -> np.ndarray:
    """HU as a scanner stores them: int16, rounded and clipped to [-1024, 3071]."""
    return np.clip(np.rint(hu), *STORED_RANGE_HU).astype(np.int16)


def field_of_view(size: int) -> np.ndarray:
    """(size, size) mask of the pixels whose centres lie in the inscribed circle, less one pixel."""
    offset = np.arange(size) - (size - 1) / 2
    return np.hypot(offset[:, None], offset) <= size / 2 - 1


def _directions(num_angles: int) -> Iterator[tuple[float, float]]:
    for view in range(num_angles):
        angle = view * math.pi / num_angles
        yield math.cos(angle), math.sin(angle)


def _pixel_centres(size: int, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre = (size - 1) / 2
    return (pixels % size - centre).astype(np.float32), (pixels // size - centre).astype(np.float32)


def _shadow_matrix(t: np.ndarray, cos: float, sin: float, size: int) -> sparse.csc_matrix:
    """(size + 2, pixels) overlap of unit pixels centred at t with unit cells, one spare cell at each end."""
    position = t + np.float32(size / 2 + 1)
    cell = np.floor(position)
    left = _shadow_tail(position - cell, cos, sin)
    right = _shadow_tail(1 - (position - cell), cos, sin)
    # The shadow reaches at most 0.71 to either side, so it ends in the neighbouring cells.
    weights = np.stack([left, 1 - left - right, right], axis=1)
    rows = cell.astype(np.int32)[:, None] + np.arange(-1, 2, dtype=np.int32)
    starts = np.arange(0, weights.size + 1, 3, dtype=np.int32)
    return sparse.csc_matrix((weights.ravel(), rows.ravel(), starts), shape=(size + 2, t.size))


def _shadow_tail(offset: np.ndarray, cos: float, sin: float) -> np.ndarray:
    """Area of the shadow of a unit pixel (a trapezoid of area 1) beyond a distance >= 0 from its centre."""
    outer, inner = (cos + sin) / 2, abs(cos - sin) / 2
    flank = np.square(outer - np.clip(offset, inner, outer)) / max(2 * (outer - inner), 1e-9)
    return (np.maximum(inner - offset, 0) + flank) / (outer + inner)


def _interpolation_matrix(t: np.ndarray, size: int) -> sparse.csr_matrix:
    """(pixels, size) linear interpolation between detector cells at the positions t."""
    position = t + np.float32((size - 1) / 2)
    cell = np.floor(position)
    weights = np.stack([cell + 1 - position, position - cell], axis=1)
    columns = cell.astype(np.int32)[:, None] + np.arange(2, dtype=np.int32)
    starts = np.arange(0, weights.size + 1, 2, dtype=np.int32)
    return sparse.csr_matrix((weights.ravel(), columns.ravel(), starts), shape=(t.size, size))


def _filter(sinogram: np.ndarray, kernel: ct_kernels.Kernel) -> np.ndarray:
    """Convolves each projection, padded with zeros, with the kernel in units of the cells."""
    size = sinogram.shape[-1]
    length = 2 * size
    response = _ramp_spectrum(length) * kernel.response(np.fft.rfftfreq(length, 0.5))
    spectrum = np.fft.rfft(sinogram, length) * response.astype(np.float32)
    return np.fft.irfft(spectrum, length)[..., :size]


def _ramp_spectrum(length: int) -> np.ndarray:
    # From the sampled impulse response: |u| sampled in frequency would shift every HU value.
    index = np.arange(length)
    distance = np.minimum(index, length - index)
    ramp = np.where(distance % 2 == 1, -1 / (np.pi * np.maximum(distance, 1)) ** 2, 0.0)
    ramp[0] = 0.25
    return np.fft.rfft(ramp).real
