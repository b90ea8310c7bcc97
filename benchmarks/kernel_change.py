"""Compare FBPAug's kernel change, in all modes, with the same algorithm built from scikit-image.

python -m benchmarks.kernel_change --output benchmarks/results/kernel-change-cpu
python -m benchmarks.kernel_change --input scan.nii.gz --size 384 --angles 192

Slices are the middle one of the chest phantom, of the scans given, and of the real CT in the folder named by
JAXMED_TEST_DATA, at 1 mm and in a square. The reference clips at -1000 HU, projects the whole square with
`radon`, filters with |w| (1 + a |w|^b), and reconstructs with `iradon`. Errors are root mean squares inside
the inscribed circle, in HU, beside the change that the kernel itself makes; r is the correlation between the
changes that both make. Kernels are fixed ones and draws of the augmentation.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from skimage import transform

from benchmarks import kernel_change_table
from data_pipelines import preprocess
from data_pipelines.phantoms import chest_ct, ct_kernels
from experiments.verbs import provenance
from jaxmed.augment import sinogram
from jaxmed.train import host

METHODS = ("exact", "projector", "fft")
SMOOTHING = ((-0.5, 0.5), (-1.0, 0.1), (-1.0, 0.3), (-1.0, 0.7), (-1.0, 1.0))
SHARPENING = ((10.0, 1.0), (40.0, 1.0), (20.0, 2.0), (30.0, 3.0), (40.0, 4.0))
WATER, AIR = 1e-4, 1.2041e-6
SLOPE = (WATER - AIR) / 1000
REAL_CT = ("ct_chest_cip", "ct_liver_dcmqi", "mrct_sts_pairs/STS_015_CT_image.nii.gz")


def change_with_scikit_image(
    image_hu: np.ndarray, a: float, b: float, num_angles: int, *, circle: bool = False
) -> np.ndarray:
    """The published algorithm for one slice (size, size) in HU; with circle only what lies inside it."""
    views = project_with_scikit_image(image_hu, num_angles, circle=circle)
    return reconstruct_with_kernel(views, a, b, len(image_hu), circle=circle)


def project_with_scikit_image(image_hu: np.ndarray, num_angles: int, *, circle: bool = False) -> np.ndarray:
    """Its first half, up to the sinogram (detectors, angles)."""
    attenuation = WATER + SLOPE * np.maximum(image_hu, -1000)
    if circle:
        offsets = np.arange(len(image_hu)) - len(image_hu) // 2
        attenuation = attenuation * (np.hypot(offsets[:, None], offsets[None, :]) <= len(image_hu) // 2)
    return transform.radon(attenuation, np.arange(num_angles) * 180 / num_angles, circle=circle)


def reconstruct_with_kernel(
    views: np.ndarray, a: float, b: float, size: int, *, circle: bool = False
) -> np.ndarray:
    """Its second half, from the sinogram to (size, size) in HU."""
    count, num_angles = views.shape
    length = max(64, 2 ** int(np.ceil(np.log2(2 * count))))
    ramp = ramp_filter(length)
    spectrum = np.fft.fft(np.pad(views, ((0, length - count), (0, 0))), axis=0)
    filtered = np.fft.ifft(spectrum * (ramp * (1 + a * ramp**b))[:, None], axis=0).real[:count]
    angles = np.arange(num_angles) * 180 / num_angles
    mu = transform.iradon(filtered, angles, filter_name=None, circle=circle, output_size=size)
    return np.clip((mu - WATER) / SLOPE, -1000, 3000)


def ramp_filter(length: int) -> np.ndarray:
    """Spectrum of the sampled ramp, 1 at the Nyquist frequency (Kak and Slaney, chapter 3, eq. 61)."""
    lag = np.minimum(np.arange(length), length - np.arange(length))
    taps = np.where(lag % 2 == 1, -1 / (np.pi * np.maximum(lag, 1)) ** 2, 0.0)
    taps[0] = 0.25
    return 2 * np.fft.fft(taps).real


def change_with_jaxmed(
    image_hu: np.ndarray, kernels: list[tuple[float, float]], num_angles: int, method: str
) -> np.ndarray:
    """The same by `jaxmed.augment.sinogram`, with each kernel, (kernels, size, size)."""
    strength, exponent = jnp.asarray(kernels, jnp.float32).T
    change = sinogram.KernelChange(strength, exponent, jnp.full(len(kernels), True))
    images = jnp.asarray(np.repeat(image_hu[None], len(kernels), axis=0), jnp.float32)
    return np.asarray(sinogram.change_kernel(images, change, num_angles=num_angles, method=method))


def draw_kernels(number: int) -> list[tuple[float, float]]:
    """Kernels that the augmentation draws, from key 0."""
    change = sinogram.draw_kernel_change(jax.random.key(0), number)
    return [(float(a), float(b)) for a, b in zip(change.strength, change.exponent, strict=True)]


def load_slices(arguments: argparse.Namespace) -> Iterator[tuple[str, np.ndarray]]:
    """Name and HU, (size, size) float32, of each slice to compare on."""
    size = arguments.size
    (volume,), _ = chest_ct.draw_scans(
        0,
        [ct_kernels.STANDARD],
        image_size=size,
        pixel_mm=max(1.0, 400.0 / size),
        num_slices=1,
        slice_mm=1.0,
        num_angles=2 * size,
    )
    yield "phantom chest (draw_scans, seed 0, standard kernel)", volume[0].astype(np.float32)
    root = os.environ.get("JAXMED_TEST_DATA")
    real = [(name, Path(root) / name) for name in REAL_CT] if root else []
    files = [*real, *((path.name, path) for path in arguments.input)]
    if files:
        from data_pipelines.readers.scan import read_scan  # the phantom must run without the medical readers
    for name, path in files:
        fitted = preprocess.fit_in_plane(read_scan(path), 1.0, size, -1000.0).image
        yield f"real {name}", np.clip(fitted[len(fitted) // 2], -1000, 3000).astype(np.float32)


def compare(
    image: np.ndarray, kernels: list[tuple[float, float]], num_angles: int
) -> Iterator[dict[str, Any]]:
    """One row for each kernel: the change it makes, and the error and correlation of each mode, in HU."""
    offsets = np.arange(len(image)) - len(image) / 2
    inside = np.hypot(offsets[:, None], offsets[None, :]) < len(image) / 2 - 2
    views = project_with_scikit_image(image, num_angles)
    results = {method: change_with_jaxmed(image, kernels, num_angles, method) for method in METHODS}
    for number, (a, b) in enumerate(kernels):
        wanted = (reconstruct_with_kernel(views, a, b, len(image)) - image)[inside]
        row: dict[str, Any] = {"a": a, "b": b, "change": rms(wanted), "mean_shift": float(wanted.mean())}
        for method in METHODS:
            ours = (results[method][number] - image)[inside]
            correlation = float(np.corrcoef(ours, wanted)[0, 1])
            row[method] = {"rmse": rms(ours - wanted), "correlation": correlation}
        yield row


def rms(values: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.square(values).mean()))


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--input", type=Path, nargs="*", default=[], help="more scans: NIfTI files, folders of DICOM series")
    add("--size", type=int, default=384, help="side of the slice in pixels of 1 mm")
    add("--angles", type=int, nargs="+", default=[192], help="numbers of projection angles")
    add("--draws", type=int, default=16, help="kernels to draw besides the fixed ones")
    add("--output", type=Path, help="results are written to this path with .json and .md added")
    return parser.parse_args()


def main() -> None:
    """Compares on every slice with every number of angles, prints the tables and writes the files."""
    arguments = parse_arguments()
    host.tune_malloc()
    kernels, drawn = [*SMOOTHING, *SHARPENING], draw_kernels(arguments.draws)
    results = {**provenance.describe(), "size": arguments.size, "comparisons": []}
    print(", ".join(f"{name} {value}" for name, value in provenance.describe().items()))
    for name, image in load_slices(arguments):
        for num_angles in arguments.angles:
            rows = list(compare(image, [*kernels, *drawn], num_angles))
            parts = {"kernels": rows[: len(kernels)], "draws": rows[len(kernels) :]}
            results["comparisons"].append({"slice": name, "num_angles": num_angles, **parts})
            print(kernel_change_table.markdown(results["comparisons"][-1]))
    if arguments.output:
        stem = str(arguments.output)
        Path(f"{stem}.json").write_text(json.dumps(results, indent=1) + "\n")
        Path(f"{stem}.md").write_text(kernel_change_table.page(results))


if __name__ == "__main__":
    main()
