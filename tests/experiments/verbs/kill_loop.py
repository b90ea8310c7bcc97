"""Kills a training run again and again at random moments, and compares its end with an uninterrupted run.

PYTHONPATH=. python tests/experiments/verbs/kill_loop.py [number of kills] [seed of the moments]
"""

import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.contract import Data, Experiment
from experiments.verbs import papers, runs
from experiments.verbs.options import RunOptions
from jaxmed.algorithms.supervised import supervised
from jaxmed.train import host, logs


@dataclass(frozen=True)
class Config:
    """A perceptron of 0.8 million parameters, 9 MB with Adam's moments."""

    width: int = 512
    num_steps: int = 320
    batch_size: int = 8


class Perceptron(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x, *, train: bool):
        for _ in range(3):
            x = nn.relu(nn.Dense(self.width)(x))
        return nn.Dense(1)(x)


def make_data(config, *, seed, **ignored):
    def batches(first_step):
        for step in itertools.count(first_step):
            time.sleep(0.015)
            x = np.random.default_rng([seed, step]).normal(size=(config.batch_size, 16)).astype(np.float32)
            yield {"x": x}

    return Data("phantom", batches)


def make_algorithm(config, data):
    return supervised(
        Perceptron(config.width),
        optax.adam(1e-3),
        prepare=lambda batch, key: (
            batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape),
            batch["x"][:, :1],
        ),
        loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
    )


EXPERIMENT = Experiment(
    title="A perceptron",
    presets={"demo": Config()},
    example_batch=lambda config: {"x": jax.ShapeDtypeStruct((config.batch_size, 16), jnp.float32)},
    make_data=make_data,
    make_algorithm=make_algorithm,
    evaluate=lambda config, state, data: {"step": {"all": float(state.step)}},
)
NAME = runs.RunName("perceptron", "demo", Config(), 0)
STEPS_PER_KILL, SPARE_STEPS = 14, 40


def run_in_a_process(workdir: Path, num_steps: int) -> int:
    """Starts (or resumes) the run in a forked process; returns its number."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        host.enable_compilation_cache(workdir.parent / "xla")
        runs.run(NAME, options(workdir), num_steps=num_steps)
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def options(workdir: Path) -> RunOptions:
    """Saves at every third step, so that many kills hit a save."""
    return RunOptions(workdir=workdir, checkpoint_every=3, log_every=1)


def arrays(folder: Path) -> list[np.ndarray]:
    """Every array of the run's last state."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(runs.load(folder)[2])]


def starts(folder: Path) -> list[int]:
    """The steps from which the run was started so far."""
    return [
        event["step"] for event in logs.Journal(folder).read() if event["event"] in ("started", "resumed")
    ]


def last_step(folder: Path) -> int:
    """The last step in the run's log."""
    file = folder / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return json.loads(lines[-2])["step"] if len(lines) > 1 else 0


def wait_for_steps(process: int, folder: Path, before: int, num_steps: int) -> None:
    """Waits until the process has started and made some steps."""
    while len(starts(folder)) <= before or last_step(folder) < starts(folder)[-1] + num_steps:
        if os.waitpid(process, os.WNOHANG) != (0, 0):
            raise RuntimeError("the run ended before it was killed")
        time.sleep(0.002)


def kill_often(folder: Path, workdir: Path, num_kills: int, num_steps: int, moments: random.Random) -> None:
    """Starts the run and kills it, `num_kills` times, a quarter of them before its first step."""
    for number in range(1, num_kills + 1):
        before = len(starts(folder))
        process = run_in_a_process(workdir, num_steps)
        if moments.random() < 3 / 4:
            wait_for_steps(process, folder, before, moments.randint(0, 20))
        time.sleep(moments.random() * 0.1)
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        steps = sorted(int(path.name) for path in (folder / "checkpoints").glob("*") if path.name.isdigit())
        print(
            f"kill {number}: signal {os.WTERMSIG(status)} after step {last_step(folder)}, "
            f"folders of steps {steps}",
            flush=True,
        )


def main(num_kills: int, seed: int) -> int:
    """Prints the log; 0 if nothing differs."""
    papers.find_paper = lambda name: EXPERIMENT
    moments, num_steps = random.Random(seed), STEPS_PER_KILL * num_kills + SPARE_STEPS
    with tempfile.TemporaryDirectory() as scratch:
        whole, cut = Path(scratch, "whole"), Path(scratch, "cut")
        assert os.waitpid(run_in_a_process(whole, num_steps), 0)[1] == 0
        folder = runs.run_folder(NAME, options(cut))
        kill_often(folder, cut, num_kills, num_steps, moments)
        assert os.waitpid(run_in_a_process(cut, num_steps), 0)[1] == 0
        events = logs.Journal(folder).read()
        print("starts:", " ".join(f"{event['event']}@{event['step']}" for event in events))
        other = runs.run_folder(NAME, options(whole))
        same = all(itertools.starmap(np.array_equal, zip(arrays(other), arrays(folder), strict=True)))
        lines = [(path / "metrics.jsonl").read_text() for path in (other, folder)]
        same_log = lines[0] == lines[1]
        print(f"{num_kills} kills, seed {seed}: states bit-equal {same}, logs of metrics equal {same_log}")
    return 0 if same and same_log else 1


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(numbers + [20, 0][len(numbers) :])))
