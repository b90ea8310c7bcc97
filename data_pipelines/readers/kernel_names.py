"""Which of two CT reconstruction kernels is the sharper: by its maker's name or by the noise it passes."""

import re

import numpy as np
from scipy import ndimage

_GE = {"SOFT": 1.0, "STANDARD": 2.0, "LUNG": 12.0, "BONE": 11.0, "BONEPLUS": 13.0, "EDGE": 14.0}
_PHILIPS = {"A": 1.0, "B": 2.0, "D": 11.0, "E": 12.0, "L": 13.0}

SHARP_FROM = 10.0
"""Sharpness from which a kernel counts as sharp; below it is smooth."""


def named_sharpness(manufacturer: str, kernel: str) -> float | None:
    """Sharpness of a kernel by its maker's naming, comparable between kernels of one maker only.

    Siemens (letters around two digits, such as B30f, I70f, Br44d): the digits, of which 50 and more are
    sharp. GE: SOFT and STANDARD are smooth; LUNG, BONE, BONEPLUS and EDGE sharp. Philips: A and B are
    smooth; D, E and L sharp. Toshiba and Canon: FC01 to FC19 (body) are smooth; FC30 to FC39 (bone), FC50
    to FC59 (lung) and FC80 to FC89 (high resolution) sharp. Names between the two kinds (GE DETAIL, Philips
    C) and all others are left to measurement.

    Args:
        manufacturer: Manufacturer (0008,0070).
        kernel: ConvolutionKernel (0018,1210); of several parts the first counts.

    Returns:
        A number below `SHARP_FROM` for smooth kernels and from it for sharp ones, growing with sharpness;
        None where the name does not tell.
    """
    maker, name = manufacturer.upper(), kernel.split("\\")[0].strip().upper()
    if "SIEMENS" in maker:
        match = re.fullmatch(r"[A-Z]{1,2}(\d\d)[A-Z]*", name)
        return float(match[1]) / 5 if match else None
    if maker.startswith("GE"):
        return _GE.get(name.replace(" ", ""))
    if "PHILIPS" in maker:
        return _PHILIPS.get(name)
    if "TOSHIBA" in maker or "CANON" in maker:
        return _toshiba_sharpness(name)
    return None


def high_frequency_noise(image: np.ndarray) -> float:
    """Standard deviation of the noise that a CT slice carries at the highest frequencies.

    The slice is filtered with the product of two second differences, [1, -2, 1] along each axis, which
    removes anatomy that varies smoothly and scales white noise of deviation s to 6 s; s is estimated from
    the median absolute value, so that edges count little. Only pixels above -900 HU enter: air outside
    the patient is clipped by many scanners.

    Args:
        image: (height, width) slice in HU.

    Returns:
        The deviation in HU; NaN where no pixel is above -900 HU.

    Reference:
        J. Immerkaer, Fast noise variance estimation, Computer Vision and Image Understanding 64 (1996).
        differs: median instead of mean absolute value.
    """
    second_difference = np.array([1.0, -2.0, 1.0])
    filtered = np.asarray(image, np.float64)
    for axis in (0, 1):
        filtered = ndimage.convolve1d(filtered, second_difference, axis=axis)
    inside = np.asarray(ndimage.binary_erosion(image > -900, np.ones((3, 3))), bool)
    # 0.6745 is the median absolute value of a standard normal variable.
    return float(np.median(np.abs(filtered[inside])) / 6 / 0.6745) if inside.any() else float("nan")


def _toshiba_sharpness(name: str) -> float | None:
    match = re.fullmatch(r"FC(\d\d)(-.*)?", name)
    if match is None:
        return None
    number = int(match[1])
    if 1 <= number <= 19:
        return number % 10 / 10
    if number // 10 in (3, 5, 8):
        return SHARP_FROM + number / 10
    return None
