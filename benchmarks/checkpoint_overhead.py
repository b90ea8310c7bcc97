"""Time training steps with and without asynchronous, verified checkpoints, in alternation.

python -m benchmarks.checkpoint_overhead --width 1440 --every 50 --repeats 3 --output checkpoint_overhead.json

A perceptron with Adam (8.3 million parameters, a state of 100 MB) trains through `jaxmed.train.fit` on random
data. Every repeat runs once without saving and once saving every 50 steps, in turns first. A window of 50
steps begins just before one save is due and ends just before the next, so that it holds one save whole, with
all that happens behind the steps; each repeat gives the ratio of its median windows. The first window of each
run, which compiles, is dropped.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.verbs import provenance
from jaxmed.algorithms.supervised import supervised
from jaxmed.train import disk, fit, host, mesh
from jaxmed.train.checkpoint import Checkpoints


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=1440, help="units of each of the four layers")
    parser.add_argument("--batch", type=int, default=256, help="examples per step")
    parser.add_argument("--every", type=int, default=50, help="steps between saves, and of a window")
    parser.add_argument("--windows", type=int, default=3, help="timed windows per run")
    parser.add_argument("--repeats", type=int, default=3, help="number of pairs of runs")
    parser.add_argument(
        "--directory", type=Path, help="disk to save to; the system's temporary folder if not given"
    )
    parser.add_argument(
        "--output", type=Path, help="JSON file for the results; a summary in Markdown lies beside it"
    )
    return parser.parse_args()


class Perceptron(nn.Module):
    """Four square layers."""

    width: int

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool) -> jax.Array:
        """Maps (batch, width) to (batch, width)."""
        for _ in range(3):
            inputs = nn.relu(nn.Dense(self.width)(inputs))
        return nn.Dense(self.width)(inputs)


class Stopwatch:
    """Notes when the steps that end a window are done; stands before the observer that saves."""

    def __init__(self, every: int):
        """Notes every `every` steps."""
        self._every, self.times = every, []

    def __call__(self, step: int, state: Any, metrics: dict[str, jax.Array]) -> None:
        """Waits for the step where one is due."""
        if step % self._every == 0:
            jax.block_until_ready(metrics)
            self.times.append(time.perf_counter())


class TimedSaves:
    """Saves every so many steps and notes how long training stood still for it."""

    def __init__(self, checkpoints: Checkpoints, every: int):
        """Saves into `checkpoints`."""
        self._checkpoints, self._every, self.blocked = checkpoints, every, []

    def __call__(self, step: int, state: Any, metrics: dict[str, jax.Array]) -> None:
        """Saves when it is due."""
        if step % self._every == 0:
            start = time.perf_counter()
            self._checkpoints.save(step, state)
            self.blocked.append(time.perf_counter() - start)


def make_batches(arguments: argparse.Namespace) -> Iterator[dict[str, np.ndarray]]:
    """The same random batch for ever."""
    image = np.random.default_rng(0).standard_normal((arguments.batch, arguments.width), np.float32)
    return itertools.repeat({"image": image})


def make_algorithm(width: int) -> fit.Algorithm:
    """Reproduces its input."""
    return supervised(
        Perceptron(width),
        optax.adam(1e-4),
        prepare=lambda batch, key: (batch["image"], batch["image"]),
        loss=lambda outputs, targets: jnp.mean((outputs - targets) ** 2, axis=1),
    )


def time_run(arguments: argparse.Namespace, *, saving: bool) -> tuple[list[float], list[float], int]:
    """Train once; seconds per step of each window, seconds that each save blocked, bytes of the state."""
    algorithm = make_algorithm(arguments.width)
    state = algorithm.init(jax.random.key(0), next(make_batches(arguments)))
    size, stopwatch = disk.state_bytes(state), Stopwatch(arguments.every)
    with (
        tempfile.TemporaryDirectory(dir=arguments.directory) as folder,
        Checkpoints(Path(folder)) as checkpoints,
    ):
        saves = TimedSaves(checkpoints, arguments.every)
        fit.fit(
            algorithm,
            state,
            make_batches(arguments),
            key=jax.random.key(1),
            num_steps=arguments.every * (arguments.windows + 1),
            mesh=mesh.make_mesh(1),
            observers=[stopwatch, *([saves] if saving else [])],
        )
    windows = [(end - start) / arguments.every for start, end in itertools.pairwise(stopwatch.times)]
    return windows, saves.blocked[1:], size


def time_alternately(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train without and with saving in turn, each first in every other repeat."""
    ratios, steps, blocked, size = [], {False: [], True: []}, [], 0
    for number in range(arguments.repeats):
        for saving in (False, True) if number % 2 == 0 else (True, False):
            windows, stops, size = time_run(arguments, saving=saving)
            steps[saving].append(statistics.median(windows))
            blocked += stops
        ratios.append(steps[True][-1] / steps[False][-1])
        plain, saved = 1e3 * steps[False][-1], 1e3 * steps[True][-1]
        print(f"{number}: {plain:.1f} ms a step, saving {saved:.1f} ms, ratio {ratios[-1]:.3f}")
    return {
        "state_bytes": size,
        "seconds_per_step": steps[False],
        "seconds_per_step_saving": steps[True],
        "seconds_blocked_per_save": blocked,
        "ratio": ratios,
    }


def main() -> None:
    """Run the benchmark, print the median with its range and write the file."""
    host.tune_malloc()
    arguments = parse_arguments()
    machine = {
        **provenance.describe(),
        "num_processors": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }
    timings = time_alternately(arguments)
    summary = summarise(timings, arguments.every)
    print(summary)
    if arguments.output:
        settings = {
            name: getattr(arguments, name) for name in ("width", "batch", "every", "windows", "repeats")
        }
        arguments.output.write_text(json.dumps({**settings, **machine, **timings}, indent=2) + "\n")
        where = ", ".join(f"{name} {value}" for name, value in {**machine, **settings}.items())
        arguments.output.with_suffix(".md").write_text(
            f"# Training while checkpoints are saved\n\n{where}\n\n{summary}\n"
        )


def summarise(timings: dict[str, Any], every: int) -> str:
    """The results as two sentences: medians with their ranges."""
    ratios, blocked = timings["ratio"], timings["seconds_blocked_per_save"]
    plain = timings["seconds_per_step"]
    return (
        f"State of {timings['state_bytes'] / 1e6:.0f} MB, saved every {every} steps of "
        f"{1e3 * statistics.median(plain):.0f} ms: {statistics.median(ratios):.3f} of the time without "
        f"[{min(ratios):.3f}-{max(ratios):.3f}].\nA save stops training for "
        f"{1e3 * statistics.median(blocked):.0f} ms [{1e3 * min(blocked):.0f}-{1e3 * max(blocked):.0f}]."
    )


if __name__ == "__main__":
    main()
