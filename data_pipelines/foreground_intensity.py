"""Intensities under the masks of a training set: percentiles, mean and deviation, from counts of HU."""

from dataclasses import dataclass

import numpy as np

LOWEST_HU, HIGHEST_HU = -1024, 3071
"""Range of a 12-bit CT image, in which values are counted; others count as its ends."""


@dataclass(frozen=True)
class Intensity:
    """What CT is normalised with.

    Attributes:
        low: values below are set to it, in HU.
        high: values above are set to it, in HU.
        mean: subtracted, in HU.
        std: divided by, in HU; positive.
    """

    low: float
    high: float
    mean: float
    std: float

    def as_array(self) -> np.ndarray:
        """(4,) float32: low, high, mean, std."""
        return np.array([self.low, self.high, self.mean, self.std], np.float32)


def count_values(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Counts the values under a mask.

    Args:
        image: whole HU.
        mask: of the same shape; what is not 0 counts.

    Returns:
        (4096,) int64: how many voxels have -1024, -1023, ..., 3071 HU.
    """
    values = np.clip(image[mask != 0], LOWEST_HU, HIGHEST_HU).astype(np.int64) - LOWEST_HU
    return np.bincount(values, minlength=HIGHEST_HU - LOWEST_HU + 1)


def summarise(counts: np.ndarray, percentiles: tuple[float, float] = (0.5, 99.5)) -> Intensity:
    """Finds the percentiles, mean and standard deviation of counted values.

    Args:
        counts: as `count_values` gave them, added over the training set.
        percentiles: of `low` and `high`, in percent.

    Returns:
        Percentiles as the smallest value that so many do not exceed; mean and deviation of all values, not
        only of those between the percentiles.

    Raises:
        ValueError: nothing was counted, or all values are the same.

    Reference: Isensee et al., nnU-Net: Self-adapting framework for U-Net-based medical image segmentation,
    2018.
    """
    total = int(counts.sum())
    if total == 0:
        raise ValueError("counts: found no foreground in the training cases; wanted some")
    values = np.arange(LOWEST_HU, HIGHEST_HU + 1, dtype=np.float64)
    wanted = np.maximum(np.ceil(np.array(percentiles) / 100 * total), 1)
    low, high = values[np.searchsorted(np.cumsum(counts), wanted)]
    mean = float(counts @ values) / total
    variance = float(counts @ np.square(values - mean)) / total
    if not variance:
        raise ValueError(f"counts: found the value {mean:g} HU only; wanted several")
    return Intensity(float(low), float(high), mean, float(np.sqrt(variance)))
