"""Compare FBPAug's kernel change on a CT scan with the same pipeline built from scikit-image.

python -m benchmarks.kernel_change --input scan.nii.gz --size 384 --angles 192

The middle slice is brought to 1 mm pixels and a square. The reference clips at -1000 HU, projects the whole
square with `radon`, filters with |w| (1 + a |w|^b), and reconstructs with `iradon`. Errors are root mean
squares inside the inscribed circle, in HU, beside the change that the kernel itself makes.
"""

import argparse
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from skimage import transform

from data_pipelines import preprocess
from data_pipelines.readers.scan import read_scan
from experiments.verbs import provenance
from jaxmed.augment import sinogram
from jaxmed.train import host

PARAMETERS = ((-0.5, 0.5), (-1.0, 0.7), (20.0, 2.0), (30.0, 3.0))
WATER, AIR = 1e-4, 1.2041e-6


def change_with_scikit_image(image_hu: np.ndarray, a: float, b: float, num_angles: int) -> np.ndarray:
    """The published algorithm for one slice (size, size) in HU."""
    slope = (WATER - AIR) / 1000
    angles = np.arange(num_angles) * 180 / num_angles
    views = transform.radon(WATER + slope * np.maximum(image_hu, -1000), angles, circle=False)
    count = len(views)
    length = max(64, 2 ** int(np.ceil(np.log2(2 * count))))
    ramp = ramp_filter(length)
    spectrum = np.fft.fft(np.pad(views, ((0, length - count), (0, 0))), axis=0)
    filtered = np.fft.ifft(spectrum * (ramp * (1 + a * ramp**b))[:, None], axis=0).real[:count]
    mu = transform.iradon(filtered, angles, filter_name=None, circle=False, output_size=len(image_hu))
    return np.clip((mu - WATER) / slope, -1000, 3000)


def ramp_filter(length: int) -> np.ndarray:
    """Spectrum of the sampled ramp, 1 at the Nyquist frequency (Kak and Slaney, chapter 3, eq. 61)."""
    lag = np.minimum(np.arange(length), length - np.arange(length))
    taps = np.where(lag % 2 == 1, -1 / (np.pi * np.maximum(lag, 1)) ** 2, 0.0)
    taps[0] = 0.25
    return 2 * np.fft.fft(taps).real


def change_with_jaxmed(image_hu: np.ndarray, a: float, b: float, num_angles: int, method: str) -> np.ndarray:
    """The same by `jaxmed.augment.sinogram`."""
    change = sinogram.KernelChange(jnp.array([a]), jnp.array([b]), jnp.array([True]))
    images = jnp.asarray(image_hu, jnp.float32)[None]
    return np.asarray(sinogram.change_kernel(images, change, num_angles=num_angles, method=method)[0])


def rms(values: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.square(values).mean()))


def main() -> None:
    """Reads the scan and prints one line per kernel and method."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True, help="NIfTI file, or folder of a DICOM series")
    parser.add_argument("--size", type=int, default=384, help="side of the slice in pixels of 1 mm")
    parser.add_argument("--angles", type=int, default=192, help="number of projection angles")
    arguments = parser.parse_args()
    host.tune_malloc()
    volume = preprocess.fit_in_plane(read_scan(arguments.input), 1.0, arguments.size, -1000.0).image
    image = np.clip(volume[len(volume) // 2], -1000, 3000).astype(np.float32)
    offsets = np.arange(arguments.size) - arguments.size / 2
    inside = np.hypot(offsets[:, None], offsets[None, :]) < arguments.size / 2 - 2
    print(", ".join(f"{name} {value}" for name, value in provenance.describe().items()))
    for a, b in PARAMETERS:
        wanted = change_with_scikit_image(image, a, b, arguments.angles)
        errors = {
            method: rms((change_with_jaxmed(image, a, b, arguments.angles, method) - wanted)[inside])
            for method in ("exact", "projector")
        }
        moved = float((wanted - image)[inside].mean())
        print(
            f"(a, b) = ({a:g}, {b:g}): exact {errors['exact']:.2f}, projector {errors['projector']:.2f}, "
            f"change {rms((wanted - image)[inside]):.0f}, mean shift {moved:.0f} HU"
        )


if __name__ == "__main__":
    main()
