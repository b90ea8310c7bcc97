"""Errors of the projector's modes, and of the kernel change's, against closed forms, as pixels get smaller.

python -m benchmarks.radon_accuracy --output benchmarks/results/radon-accuracy-cpu

Projection: relative root mean square over the sinogram of the Shepp-Logan phantom and a disc, whose edges
make any interpolation about first order, and of a Gaussian, which is smooth: second order. scikit-image's
`radon` stands beside it. Change of the kernel: a Gaussian under |w| (1 + a |w|^b) in the plane, root mean
square inside the inscribed circle relative to that of the Gaussian; the change by the kernel, in the same
measure, stands beside it. The Gaussian grows with the image, sigma = size / 16. The order is log2 of the
error at half the size over the error.
"""

import argparse
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from benchmarks import analytic_sinograms as analytic
from benchmarks.kernel_change import METHODS, rms
from experiments.verbs import provenance
from jaxmed.augment import sinogram
from jaxmed.ops import kernel_filter, radon, reconstruction_filters
from jaxmed.train import host

KERNELS = ((-0.5, 0.5), (-1.0, 0.7), (-1.0, 1.0), (10.0, 1.0), (20.0, 2.0), (40.0, 4.0))
Errors = dict[str, list[float]]
"""By name of the method, for each size."""


def gaussian_sigma(size: int) -> float:
    """Of the Gaussian, in pixels."""
    return size / 16


def phantoms(size: int, num_angles: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Image and exact sinogram by name."""
    count, sigma = radon.num_detectors(size), gaussian_sigma(size)
    ellipses = {"Shepp-Logan": analytic.SHEPP_LOGAN, "disc": analytic.DISC}
    found = {
        name: (
            analytic.ellipse_image(shapes, size),
            analytic.ellipse_sinogram(shapes, size, num_angles, count),
        )
        for name, shapes in ellipses.items()
    }
    gaussian = analytic.gaussian_sinogram(sigma, num_angles, count)
    return {**found, "Gaussian": (analytic.gaussian_image(size, sigma), gaussian)}


def projection_errors(size: int, num_angles: int) -> dict[str, dict[str, float]]:
    """Relative error by phantom and method."""
    from skimage import transform

    def scikit_image(image):
        return transform.radon(image, np.arange(num_angles) * 180.0 / num_angles, circle=False).T

    def project(method):
        return lambda image: np.asarray(
            radon.project(jnp.asarray(image[None], jnp.float32), num_angles, method=method)
        )[0]

    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "exact": project("exact"),
        "projector": project("projector"),
        "scikit-image": scikit_image,
    }
    return {
        name: {method: rms(function(image) - truth) / rms(truth) for method, function in methods.items()}
        for name, (image, truth) in phantoms(size, num_angles).items()
    }


def change_gaussian(size: int, num_angles: int, method: str) -> np.ndarray:
    """The Gaussian under all KERNELS by a mode of `jaxmed.augment.sinogram`, without its units and clipping.

    Returns:
        (kernels, size, size).
    """
    image = analytic.gaussian_image(size, gaussian_sigma(size)).astype(np.float32)
    images = jnp.asarray(np.repeat(image[None], len(KERNELS), axis=0))
    strength, exponent = jnp.asarray(KERNELS, jnp.float32).T
    if method == "fft":
        return np.asarray(kernel_filter.filter_with_kernel(images, strength, exponent))
    views = radon.project(images, num_angles, method=method)  # pyright: ignore[reportArgumentType]
    ramp = jnp.asarray(reconstruction_filters.ramp_filter(views.shape[-1]))
    gains = sinogram.kernel_gains(strength, exponent, ramp)
    return np.asarray(radon.filtered_backprojection(views, size, gains))


def kernel_errors(size: int, num_angles: int) -> dict[str, dict[str, float]]:
    """Error of each mode relative to the image, by kernel, and likewise the change itself."""
    sigma = gaussian_sigma(size)
    inside = analytic.radii(size) < size // 2 - 2
    image = analytic.gaussian_image(size, sigma)
    results = {method: change_gaussian(size, num_angles, method) for method in METHODS}
    found = {}
    for number, (a, b) in enumerate(KERNELS):
        wanted = analytic.gaussian_with_kernel(size, sigma, a, b)
        errors = {method: result[number] - wanted for method, result in results.items()}
        errors = {"(change)": wanted - image, **errors}
        found[f"({a:g}, {b:g})"] = {m: rms(e[inside]) / rms(image[inside]) for m, e in errors.items()}
    return found


def measure(sizes: list[int]) -> dict[str, dict[str, Errors]]:
    """Both tables: by kind, row and method the error at each size, with as many angles as pixels."""
    tables: dict[str, dict[str, Errors]] = {"projection": {}, "kernel": {}}
    for size in sizes:
        found = {"projection": projection_errors(size, size), "kernel": kernel_errors(size, size)}
        for kind, rows in found.items():
            for row, errors in rows.items():
                for method, error in errors.items():
                    tables[kind].setdefault(row, {}).setdefault(method, []).append(error)
        print(f"{size}^2 pixels done", flush=True)
    return tables


def to_markdown(results: dict[str, Any]) -> str:
    """The whole file."""
    sizes = results["sizes"]
    head = [f"{size}^2 (order)" if number else f"{size}^2" for number, size in enumerate(sizes)]
    titles = {
        "projection": "Projection against analytic sinograms, relative root mean square",
        "kernel": "Change of the kernel of a Gaussian against its closed form, relative to the Gaussian",
    }
    lines = ["# Accuracy of the sinogram operators", ""]
    lines += [
        ", ".join(f"{name} {results[name]}" for name in ("commit", "device", "jax_version", "date"))
        + "; as many angles as pixels a side. `python -m benchmarks.radon_accuracy` says what is measured."
    ]
    for kind, title in titles.items():
        lines += ["", f"## {title}", "", f"| what | method | {' | '.join(head)} |"]
        lines += [f"|---|---|{'---|' * len(sizes)}"]
        for row, methods in results["tables"][kind].items():
            lines += [
                f"| {row} | {method} | {' | '.join(_cells(errors))} |" for method, errors in methods.items()
            ]
    return "\n".join(lines) + "\n"


def _cells(errors: list[float]) -> list[str]:
    orders = ["", *(f" ({math.log2(before / e):.2f})" for before, e in itertools.pairwise(errors))]
    return [f"{error:.2e}{order}" for error, order in zip(errors, orders, strict=True)]


def main() -> None:
    """Measures, prints the tables and writes the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[64, 128, 256], help="each twice the one before"
    )
    parser.add_argument("--output", type=Path, help="results are written here with .json and .md added")
    arguments = parser.parse_args()
    host.tune_malloc()
    results = {**provenance.describe(), "sizes": arguments.sizes, "tables": measure(arguments.sizes)}
    text = to_markdown(results)
    print(text)
    if arguments.output:
        arguments.output.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
        arguments.output.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
