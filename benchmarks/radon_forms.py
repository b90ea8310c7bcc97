"""Time the forms of the projector, chunk sizes, and the two ways to filter on one device, in alternation.

python -m benchmarks.radon_forms --size 512 --batch 32 --angles 512 --output radon-forms.json

The row scan is the form for CPUs, chunks of angles the one for accelerators; both run on any device when they
are called by name, as here. Each repeat times all of them once. Products with a Toeplitz matrix are how
projections are filtered; a Fourier transform, which gathers a batch that is split, is timed beside them.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.radon import describe_machine, seconds
from jaxmed.ops import (
    radon,
    radon_backprojector,
    radon_orientations,
    radon_projector,
    reconstruction_filters,
)
from jaxmed.train import host

Timed = tuple[Callable[[jax.Array], jax.Array], jax.Array]
"""A compiled function and its argument."""


def make_forms(arguments: argparse.Namespace) -> dict[str, Timed]:
    """What is timed, by name: images and views in four orientations, batch last, and whole sinograms."""
    group = radon_orientations.angle_groups(arguments.angles)[0]
    count, size = radon.num_detectors(arguments.size), arguments.size + 1 - arguments.size % 2
    rays, stack = (group.cosines, group.sines), (radon_orientations.ORIENTATIONS, arguments.batch)
    geometry = (*rays, count, "joseph")
    images, views = random(size, size, *stack), random(group.cosines.size, count, *stack)
    sinograms = random(arguments.batch, arguments.angles, count)
    period = reconstruction_filters.fft_size(count)
    ramp = jnp.asarray(reconstruction_filters.ramp_filter(count))
    gains = jnp.ones((arguments.batch, ramp.size))

    def chunked(angles_per_chunk=None):
        return lambda x: radon_projector.project_by_angles(x, *geometry, angles_per_chunk)

    def by_fourier(x):
        spectra = jnp.fft.rfft(x, period) * (gains * ramp[None])[:, None]
        return jnp.fft.irfft(spectra, period)[..., :count]

    default = radon_projector.default_angles_per_chunk(size, count, 4 * arguments.batch)
    forms = {
        "row scan": (lambda x: radon_projector.project_by_rows(x, *geometry), images),
        **{f"{chunk} angles": (chunked(chunk), images) for chunk in arguments.chunks},
        f"default, {default} angles": (chunked(), images),
        "back-projection": (
            lambda x: radon_backprojector.backproject(x, *rays, size, "pixel"),
            views,
        ),
        "filter by matrix": (lambda x: reconstruction_filters.filter_sinograms(x, gains), sinograms),
        "filter by Fourier transform": (by_fourier, sinograms),
    }
    return {name: (jax.jit(form), argument) for name, (form, argument) in forms.items()}


def random(*shape: int) -> jax.Array:
    """Values in [0, 1) on the device."""
    return jax.device_put(np.random.default_rng(0).random(shape, dtype=np.float32))


def main() -> None:
    """Runs the benchmark, prints the medians with their ranges and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="side of the slices in pixels")
    parser.add_argument("--batch", type=int, default=32, help="slices per batch")
    parser.add_argument("--angles", type=int, default=512, help="projection angles, an even number")
    parser.add_argument(
        "--chunks", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32], help="angles per chunk"
    )
    parser.add_argument("--repeats", type=int, default=5, help="number of rounds of timings")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    host.tune_malloc()
    forms = make_forms(arguments)
    timings: dict[str, list[float]] = {name: [] for name in forms}
    for form, argument in forms.values():
        jax.block_until_ready(form(argument))
    for _ in range(arguments.repeats):
        for name, (form, argument) in forms.items():
            spent = seconds(lambda x, f=form: jax.block_until_ready(f(x)), argument)
            timings[name].append(1e3 * spent / arguments.batch)
    machine = describe_machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    for name, spent in timings.items():
        print(f"{name}: {statistics.median(spent):.3f} ms a slice [{min(spent):.3f}-{max(spent):.3f}]")
    if arguments.output:
        settings = {name: value for name, value in vars(arguments).items() if name != "output"}
        results = {**settings, **machine, "ms_per_slice": timings}
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
