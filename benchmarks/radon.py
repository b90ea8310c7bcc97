"""Time FBPAug's kernel change, in all modes, against the same pipeline of scikit-image, in alternation.

python -m benchmarks.radon --size 512 --batch 32 --angles 256 --repeats 5 --output radon

Each repeat times one batch of every mode of jaxmed and then one slice of scikit-image (radon, filter,
iradon), and gives one ratio for each mode: scikit-image's seconds per slice over jaxmed's. All take the whole
square; with --circle scikit-image takes its shorter detector row for what lies inside the inscribed circle,
which halves its work.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import kernel_change
from experiments.verbs import provenance
from jaxmed.augment import sinogram
from jaxmed.train import host

STRENGTH, EXPONENT = -0.5, 0.5


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="side of the slices in pixels")
    parser.add_argument("--batch", type=int, default=32, help="slices per batch of jaxmed")
    parser.add_argument("--angles", type=int, default=256, help="number of projection angles")
    parser.add_argument("--repeats", type=int, default=5, help="number of rounds of timings")
    parser.add_argument("--methods", nargs="+", choices=kernel_change.METHODS, default=kernel_change.METHODS)
    parser.add_argument("--circle", action="store_true", help="scikit-image with circle=True")
    parser.add_argument(
        "--output", type=Path, help="results are written to this path with .json and .md added"
    )
    return parser.parse_args()


def make_slices(size: int, batch: int) -> np.ndarray:
    """Discs of water with noise of 18 HU, in air, (batch, size, size) in HU, float32."""
    offsets = np.arange(size) - size // 2
    distance = np.hypot(offsets[:, None], offsets[None, :]) / (size // 2)
    noise = 18.0 * np.random.default_rng(0).standard_normal((batch, size, size), dtype=np.float32)
    return np.where(distance < 0.7, noise, -1000.0).astype(np.float32)


def make_jaxmed(arguments: argparse.Namespace, method: str) -> Callable[[Any], jax.Array]:
    """One mode for a batch of slices."""
    change = sinogram.KernelChange(
        jnp.full(arguments.batch, STRENGTH),
        jnp.full(arguments.batch, EXPONENT),
        jnp.full(arguments.batch, True),
    )
    return lambda images: jax.block_until_ready(
        sinogram.change_kernel(images, change, num_angles=arguments.angles, method=method)
    )


def seconds(function: Callable[[Any], Any], argument: Any) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def time_alternately(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare the images of all modes with scikit-image's, then time them all in turn."""
    slices = make_slices(arguments.size, arguments.batch)
    on_device = jax.device_put(slices)
    functions = {method: make_jaxmed(arguments, method) for method in arguments.methods}

    def theirs(image):
        return kernel_change.change_with_scikit_image(
            image, STRENGTH, EXPONENT, arguments.angles, circle=arguments.circle
        )

    offsets = np.arange(arguments.size) - arguments.size / 2
    inside = np.hypot(offsets[:, None], offsets[None, :]) < arguments.size / 2 - 2
    wanted = theirs(slices[0])
    modes: dict[str, dict[str, Any]] = {}
    for method, function in functions.items():
        first_call = seconds(function, on_device)
        difference = (np.asarray(function(on_device))[0] - wanted)[inside]
        modes[method] = {"first_call_s": first_call, "rms_difference_hu": kernel_change.rms(difference)}
        modes[method].update(s_per_slice=[], speed_up=[])
    reference = []
    for number in range(arguments.repeats):
        ours = {m: seconds(function, on_device) / arguments.batch for m, function in functions.items()}
        reference.append(seconds(theirs, slices[number % arguments.batch]))
        for method, spent in ours.items():
            modes[method]["s_per_slice"].append(spent)
            modes[method]["speed_up"].append(reference[-1] / spent)
        print(f"{number}: " + ", ".join(f"{m} {1e3 * spent:.2f} ms a slice" for m, spent in ours.items()))
    return {"modes": modes, "scikit_image_s_per_slice": reference}


def describe_machine() -> dict[str, Any]:
    """Commit, date, device, processor count, load and versions."""
    return {
        **provenance.describe(),
        "num_processors": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "scikit_image": importlib.metadata.version("scikit-image"),
    }


def to_markdown(results: dict[str, Any]) -> str:
    """The results file for people."""
    reference = 1e3 * statistics.median(results["scikit_image_s_per_slice"])
    lines = [
        "# Kernel change beside scikit-image's pipeline",
        "",
        f"{results['device']}, {results['num_processors']} processors, load {results['load_average']:.1f}, "
        f"jax {results['jax_version']}, scikit-image {results['scikit_image']}; commit {results['commit']}, "
        f"{results['date']}.",
        "",
        f"{results['size']} x {results['size']} pixels, {results['angles']} angles, batches of "
        f"{results['batch']}; scikit-image takes {reference:.0f} ms a slice. {results['repeats']} rounds of "
        "one batch of each mode and one slice of scikit-image in turns; median (range).",
        "",
        "| mode | ms a slice | times scikit-image's speed | apart, HU |",
        "|---|---|---|---|",
    ]
    for method, mode in results["modes"].items():
        ratios, spent = mode["speed_up"], 1e3 * statistics.median(mode["s_per_slice"])
        lines += [
            f"| {method} | {spent:.2f} | {statistics.median(ratios):.1f} ({min(ratios):.1f} - "
            f"{max(ratios):.1f}) | {mode['rms_difference_hu']:.2f} |"
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the benchmark, print medians with their ranges and write the files."""
    host.tune_malloc()
    arguments = parse_arguments()
    settings = {name: value for name, value in vars(arguments).items() if name != "output"}
    results = {**settings, **describe_machine(), **time_alternately(arguments)}
    text = to_markdown(results)
    print(text)
    if arguments.output:
        arguments.output.with_suffix(".json").write_text(json.dumps(results, indent=2) + "\n")
        arguments.output.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
