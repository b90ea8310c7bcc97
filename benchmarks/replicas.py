"""Time training steps of several seeds in one program beside the same steps one after another, in turns.

python -m benchmarks.replicas --members 5 --study balanced --output result.json

Members are networks of activelearn's demo, on batches of their own. "vmap" computes them in one batch,
"in one loop" lets them take turns within one program (`jaxmed.algorithms.replicas`); both take the place of
as many calls of the compiled step.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.activelearn.algorithm import make_algorithm
from experiments.activelearn.config import PRESETS, choose
from experiments.activelearn.data import example_batch
from experiments.verbs import provenance
from jaxmed.algorithms.replicas import replicate
from jaxmed.train import host


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--study", choices=("balanced", "unbalanced"), default="balanced")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="demo")
    parser.add_argument("--rounds", type=int, default=15, help="of all three, in turns")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    return parser.parse_args()


def make_runs(arguments: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """One step of every member, in three ways; each keeps its states."""
    config = choose(PRESETS[arguments.preset], arguments.study)
    algorithm, count = make_algorithm(config, None), arguments.members
    generator = np.random.default_rng(0)
    batch = {
        name: generator.integers(config.chosen.num_classes, size=(len_, count, *rest), dtype=like.dtype)
        for name, like in example_batch(config).items()
        for len_, *rest in [like.shape]
    }
    parts = [{name: np.ascontiguousarray(array[:, n]) for name, array in batch.items()} for n in range(count)]
    key, keys = jax.random.key(0), jax.random.split(jax.random.key(0), count)
    step = jax.jit(algorithm.step)
    single = jax.jit(algorithm.init)(key, parts[0])
    runs: dict[str, Callable[[], Any]] = {
        "one after another": lambda: [step(single, part, own) for part, own in zip(parts, keys, strict=True)]
    }
    for name, one_by_one in (("vmap", False), ("in one loop", True)):
        together = replicate(algorithm, count, one_by_one=one_by_one)
        states, both = jax.jit(together.init)(key, batch), jax.jit(together.step)
        runs[name] = lambda states=states, both=both: both(states, batch, key)
    return runs


def main() -> None:
    """Measures, prints and writes."""
    host.tune_malloc()
    arguments = parse_arguments()
    runs = make_runs(arguments)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(arguments.rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            if number:  # the first round compiles
                seconds[name].append(time.perf_counter() - start)
    apart = seconds.pop("one after another")
    ratios = {name: [t / a for t, a in zip(times, apart, strict=True)] for name, times in seconds.items()}
    report = {
        "members": arguments.members,
        "study": arguments.study,
        "preset": arguments.preset,
        "rounds": arguments.rounds,
        "time_over_one_after_another": {
            name: {"median": statistics.median(r), "least": min(r), "most": max(r)}
            for name, r in ratios.items()
        },
        **provenance.describe(),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
