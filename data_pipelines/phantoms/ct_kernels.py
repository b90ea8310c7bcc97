"""Reconstruction kernels of a CT scanner: what filtered back-projection multiplies the ramp with.

Convention. Frequencies are fractions u of the Nyquist frequency of the detector, whose pitch is the
pixel size: u = 1 is 5 / pixel_mm line pairs per cm. A kernel therefore keeps its shape relative to
the pixel grid, and a phantom on a coarse grid stands for a scanner with coarse pixels. The
parameters were fixed for the clinical pixel of 0.7 mm (a field of view of 360 mm on 512 pixels,
u = 1 is 7.1 lp/cm); kernels given in lp/cm would all lie beyond the Nyquist frequency of a 3 mm grid
and leave no difference between a smooth and a sharp image. The price: on a grid of p mm every point
of the curves below moves to 0.7 / p times its frequency in lp/cm.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import integrate


@dataclass(frozen=True)
class Kernel:
    """Frequency response of a reconstruction kernel relative to the ramp.

    G(u) = (1 + boost u^2) cos^2(pi/2 u^order) for u in [0, 1], and 0 above. G(0) = 1, so that
    water stays at 0 HU and air at -1000 HU. `boost` = 0 and `order` = 1 is the Hann window.

    Attributes:
        name: what the scanner writes into its header.
        boost: edge enhancement; 0 for none.
        order: steepness of the roll-off; the cosine alone passes 50 % at u = 0.5^(1/order).
    """

    name: str
    boost: float
    order: float

    def response(self, fraction: np.ndarray) -> np.ndarray:
        """G at the given fractions of the Nyquist frequency (any shape, >= 0)."""
        roll_off = np.cos(np.pi / 2 * np.minimum(fraction, 1.0) ** self.order) ** 2
        return (1 + self.boost * np.square(fraction)) * roll_off

    def noise_gain(self) -> float:
        """Noise power of an image relative to a ramp without window or interpolation.

        3 int_0^1 u^2 G(u)^2 I(u) du with I(u) = (2 + cos(pi u)) / 3, the mean power response of
        linear interpolation between detector cells over all sub-cell positions. The ratio of two
        kernels is the ratio of the noise variances of their images of one scan.
        """

        def density(u: float) -> float:
            return 3 * u**2 * float(self.response(np.asarray(u))) ** 2 * (2 + math.cos(math.pi * u)) / 3

        return float(integrate.quad(density, 0.0, 1.0)[0])


def system_response(kernel: Kernel, fraction: np.ndarray) -> np.ndarray:
    """Modulation transfer function of object to image, at fractions of the Nyquist frequency.

    G(u) sinc(u/2)^4 with sinc(x) = sin(pi x) / (pi x): besides the kernel, the square pixels of the
    object, the aperture of the detector cells and the linear interpolation of the back-projection
    (sinc^2) blur the image. Holds for oblique directions; along the pixel axes through the centre,
    pixels and cells coincide and the interpolation does not blur.
    """
    return kernel.response(fraction) * np.sinc(np.asarray(fraction) / 2) ** 4


SMOOTH = Kernel("smooth", boost=0.0, order=1.0)
"""Soft-tissue kernel (Hann). G is 50 % at u = 0.50 and 10 % at 0.80; the system is 50 % at 0.40 (2.9 lp/cm
at 0.7 mm) and 10 % at 0.69 (4.9 lp/cm)."""

STANDARD = Kernel("standard", boost=1.0, order=1.5)
"""Medium kernel. G stays below 1.03 and is 50 % at u = 0.72 and 10 % at 0.90; the system is 50 % at 0.55
(3.9 lp/cm at 0.7 mm) and 10 % at 0.80 (5.7 lp/cm)."""

SHARP = Kernel("sharp", boost=4.0, order=3.0)
"""Lung kernel. G rises to 2.22 at u = 0.66 and is 50 % at 0.92 and 10 % at 0.97; the system overshoots to
1.27 at u = 0.48 and is 50 % at 0.81 (5.8 lp/cm at 0.7 mm) and 10 % at 0.92 (6.6 lp/cm). Its noise is 4.3
times that of `SMOOTH`."""
