"""Volumes as int16 with a scale and an offset: half the bytes on disk, in memory and to the device."""

import numpy as np

_LOWEST, _HIGHEST = np.iinfo(np.int16).min, np.iinfo(np.int16).max
_LEVELS = _HIGHEST - _LOWEST

SCALING = "_scaling"
"""What the name of an array is continued with for its scale, offset and error."""


def encode(name: str, volume: np.ndarray, *, tolerance: float) -> dict[str, np.ndarray]:
    """Stores a volume as int16 where that loses no more than stated, and as float32 elsewhere.

    The value is float32(stored) * scale + offset, which `jaxmed.ops.stored_voxels.decode` computes on the
    device. Whole numbers that span at most 65535 are stored as they are, with scale 1 and the smallest
    offset: nothing is lost. Other values are spread over the 65536 levels between their extremes, which moves
    none by more than about (maximum - minimum) / 131070; what is really lost is measured voxel by voxel.

    Args:
        name: of the array in a cache's entry and in batches.
        volume: any shape; finite real numbers.
        tolerance: the largest error that int16 may make, in the unit of the volume; 0 for none.

    Returns:
        Under `name` the stored volume, int16 or float32, and under `<name>_scaling`, (3,) float32, scale,
        offset, and the largest error of all voxels against `volume` (rounded up).

    Raises:
        ValueError: a tolerance below 0, no voxels, or values that are not finite, or too large for float32.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}; wanted at least 0")
    if volume.size == 0:
        raise ValueError(f"'{name}' has shape {volume.shape}; wanted voxels")
    low, high = float(volume.min()), float(volume.max())
    if not (np.isfinite([low, high]).all() and max(-low, high) <= float(np.finfo(np.float32).max)):
        raise ValueError(f"'{name}' has values from {low} to {high}; wanted finite ones within float32")
    scale, offset = _scaling(volume, low, high)
    # Divided in float64: the decoder's float32 rounds once more, which the measured error contains.
    levels = np.rint((volume.astype(np.float64) - offset) / scale)
    stored = np.clip(levels, _LOWEST, _HIGHEST).astype(np.int16)
    error = _largest_error(volume, stored, scale, offset)
    if error > tolerance:
        stored, scale, offset = volume.astype(np.float32), 1.0, 0.0
        error = _largest_error(volume, stored, scale, offset)
    scaling = np.array([scale, offset, error], np.float32)
    if scaling[2] < error:
        scaling[2] = np.nextafter(scaling[2], np.float32(np.inf))
    return {name: stored, name + SCALING: scaling}


def decode(stored: np.ndarray, scaling: np.ndarray) -> np.ndarray:
    """Gives the values of a stored volume, or of a part of it.

    Args:
        stored: int16 or float32, any shape.
        scaling: (3,) as `encode` gave it.

    Returns:
        float32 array of the shape of `stored`.
    """
    return stored.astype(np.float32) * scaling[0] + scaling[1]


def _scaling(volume: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Scale and offset, both exactly representable in float32."""
    whole = volume.dtype.kind in "biu" or bool(np.all(np.rint(volume) == volume))
    if whole and high - low <= _LEVELS:
        return 1.0, float(np.float32(low - _LOWEST if low < _LOWEST else max(0.0, high - _HIGHEST)))
    # Halves, lest the difference of large values overflow.
    scale = max(high / _LEVELS - low / _LEVELS, float(np.finfo(np.float32).tiny))
    return float(np.float32(scale)), float(np.float32((low / 2 + high / 2) + scale / 2))


def _largest_error(volume: np.ndarray, stored: np.ndarray, scale: float, offset: float) -> float:
    # Beyond float32 counts as an infinite error.
    with np.errstate(over="ignore"):
        decoded = decode(stored, np.array([scale, offset], np.float32))
    return float(np.max(np.abs(decoded.astype(np.float64) - volume)))
