"""Time Radon transform plus filtered back-projection against scikit-image, in alternation.

python -m benchmarks.radon --size 512 --batch 32 --angles 360 --repeats 5 --output radon.json

Each repeat times one batch of jaxmed and then one slice of scikit-image (radon and iradon) and gives one
ratio: scikit-image's seconds per slice over jaxmed's. Both project the whole square; with --circle
scikit-image takes its shorter detector row for images that are empty outside the inscribed circle, which
halves its work.
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
import numpy as np
from skimage import transform

from experiments.verbs import provenance
from jaxmed.ops import radon
from jaxmed.train import host


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="side of the slices in pixels")
    parser.add_argument("--batch", type=int, default=32, help="slices per batch of jaxmed")
    parser.add_argument("--angles", type=int, default=360, help="number of projection angles")
    parser.add_argument("--repeats", type=int, default=5, help="number of pairs of timings")
    parser.add_argument("--method", choices=["projector", "exact"], default="projector")
    parser.add_argument("--circle", action="store_true", help="scikit-image with circle=True")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    return parser.parse_args()


def make_slices(size: int, batch: int) -> np.ndarray:
    """Discs with noise, zero outside the inscribed circle, (batch, size, size), float32."""
    offsets = np.arange(size) - size // 2
    distance = np.hypot(offsets[:, None], offsets[None, :]) / (size // 2)
    noise = 0.05 * np.random.default_rng(0).standard_normal((batch, size, size), dtype=np.float32)
    return np.where(distance < 0.9, (distance < 0.7) + noise, 0.0).astype(np.float32)


def make_jaxmed(arguments: argparse.Namespace) -> Callable[[Any], jax.Array]:
    """Compile projection and reconstruction of a batch into one function."""

    @jax.jit
    def reconstruct(images):
        sinograms = radon.project(images, arguments.angles, method=arguments.method)
        return radon.filtered_backprojection(sinograms, arguments.size)

    return lambda images: jax.block_until_ready(reconstruct(images))


def make_scikit_image(arguments: argparse.Namespace) -> Callable[[np.ndarray], np.ndarray]:
    """The same for one slice in scikit-image."""
    theta = np.arange(arguments.angles) * 180.0 / arguments.angles

    def reconstruct(image):
        sinogram = transform.radon(image, theta, circle=arguments.circle)
        return transform.iradon(sinogram, theta, output_size=arguments.size, circle=arguments.circle)

    return reconstruct


def seconds(function: Callable[[Any], Any], argument: Any) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def time_alternately(arguments: argparse.Namespace) -> dict[str, Any]:
    """Check that both give the same image, then time them in turn."""
    slices = make_slices(arguments.size, arguments.batch)
    on_device = jax.device_put(slices)
    ours, theirs = make_jaxmed(arguments), make_scikit_image(arguments)
    first_call = seconds(ours, on_device)
    difference = np.asarray(ours(on_device))[0] - theirs(slices[0])
    rounds = []
    for number in range(arguments.repeats):
        ours_seconds = seconds(ours, on_device) / arguments.batch
        rounds.append((ours_seconds, seconds(theirs, slices[number % arguments.batch])))
        print("{}: {:.2f} ms a slice, scikit-image {:.0f} ms".format(number, *(1e3 * t for t in rounds[-1])))
    return {
        "first_call_s": first_call,
        "rms_difference": float(np.sqrt(np.mean(np.square(difference)))),
        "jaxmed_s_per_slice": [ours for ours, _ in rounds],
        "scikit_image_s_per_slice": [theirs for _, theirs in rounds],
        "speed_up": [theirs / ours for ours, theirs in rounds],
    }


def describe_machine() -> dict[str, Any]:
    """Commit, date, device, processor count and versions."""
    return {
        **provenance.describe(),
        "num_processors": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "scikit_image": importlib.metadata.version("scikit-image"),
    }


def main() -> None:
    """Run the benchmark, print the median with its range and write the file."""
    host.tune_malloc()
    arguments = parse_arguments()
    machine = describe_machine()
    timings = time_alternately(arguments)
    ratios = timings["speed_up"]
    print(
        f"{machine['device']}, {machine['num_processors']} processors: {arguments.size}^2, "
        f"{arguments.angles} angles, batch {arguments.batch}, {arguments.method}: "
        f"{1e3 * statistics.median(timings['jaxmed_s_per_slice']):.2f} ms a slice, "
        f"{statistics.median(ratios):.0f}x scikit-image [{min(ratios):.0f}-{max(ratios):.0f}], "
        f"root mean square difference {timings['rms_difference']:.1e}"
    )
    if arguments.output:
        settings = {name: value for name, value in vars(arguments).items() if name != "output"}
        arguments.output.write_text(json.dumps({**settings, **machine, **timings}, indent=2) + "\n")


if __name__ == "__main__":
    main()
