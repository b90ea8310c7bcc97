"""Measure what surrounds a training step: dispatch, sending, crops on the device, and memory.

python -m benchmarks.steps time --output benchmarks/results/steps-time
python -m benchmarks.steps time --only crops ahead --output benchmarks/results/steps-time
python -m benchmarks.steps memory --output benchmarks/results/steps-memory

`time` alternates two forms of the same training in `jaxmed.train.fit` and gives the ratio of their median
step times, the median and range over rounds; two minutes, with nothing beside it. Parts measured one by one
join those of the same commit in the file. `memory` reads what the compiler plans for a step, and adds up what
the forward pass keeps for the backward pass (`jax.vjp`), which no compiler changes: XLA for CPUs merges the
second computation of rematerialisation with the first, so that only the latter shows what it saves.
"""

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.verbs import provenance
from jaxmed.algorithms.supervised import supervised
from jaxmed.bench import compilation, cost, loop
from jaxmed.losses import cross_entropy
from jaxmed.models.residual_unet import ResidualUNet
from jaxmed.ops import patches
from jaxmed.ops.example_keys import example_keys
from jaxmed.train import fit, guard, host, optimizers, resident
from jaxmed.train import mesh as meshes

Batches = Iterator[Mapping[str, Any]]
Run = Callable[[], float]
Comparison = tuple[str, Run, Run]
"""What is compared, the form after the change and the one before it; each gives seconds of a step."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("time", "memory"))
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    parser.add_argument("--rounds", type=int, default=5, help="of alternation")
    parser.add_argument("--output", type=Path, help="path of the results, without .json and .md")
    return parser.parse_args(arguments)


class Perceptron(nn.Module):
    """Two layers: a step that takes less time than its call."""

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool) -> jax.Array:
        """Maps (batch, features) to (batch, 1)."""
        return nn.Dense(1)(nn.relu(nn.Dense(64)(inputs)))


def make_perceptron() -> fit.Algorithm:
    """Regression of the first feature."""
    return supervised(
        Perceptron(),
        optax.adam(1e-3),
        prepare=lambda batch, key: (batch["image"], batch["image"][:, :1]),
        loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
    )


def make_unet(optimizer=None, **fields: Any) -> fit.Algorithm:
    """Segmentation of images or volumes."""
    return supervised(
        ResidualUNet(**fields),
        optimizer or optax.adam(1e-3),
        prepare=lambda batch, key: (batch["image"], batch["label"]),
        loss=cross_entropy.binary_cross_entropy,
    )


def image_batch(*shape: int) -> dict[str, np.ndarray]:
    """Noise, and a label that depends on it."""
    image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return {"image": image, "label": (image > 0.5).astype(np.float32)}


def time_run(
    algorithm: fit.Algorithm, make_batches: Callable[[], Batches], num_steps: int, **options: Any
) -> float:
    """Median seconds of a step in the real loop."""
    state = jax.jit(algorithm.init)(jax.random.key(0), next(make_batches()))
    _, times = loop.time_loop(
        algorithm,
        state,
        make_batches(),
        key=jax.random.key(1),
        mesh=meshes.make_mesh(1),
        num_steps=num_steps,
        num_warmup=num_steps // 4,
        **options,
    )
    return float(np.median(times.intervals))


def dispatched(algorithm: fit.Algorithm, batch: Mapping[str, Any], num_steps: int, together: int) -> Run:
    """One batch again and again, so many steps at a call."""
    return lambda: time_run(
        algorithm, lambda: itertools.repeat(batch), num_steps, steps_per_dispatch=together
    )


def waiting(seconds: float, *, block: bool) -> Run:
    """A loader that waits for a disk; with `block` the loop waits for each step before it loads."""
    algorithm = make_unet(widths=(8, 16, 32))
    batch = image_batch(4, 64, 64, 1)
    pending: list[jax.Array] = []

    def batches() -> Batches:
        while True:
            if block:
                jax.block_until_ready(pending)
            time.sleep(seconds)
            yield batch

    def run() -> float:
        state = jax.jit(algorithm.init)(jax.random.key(0), batch)
        step = fit.compile_step(algorithm, meshes.make_mesh(1))
        send = meshes.Sender(meshes.make_mesh(1))
        if not block:
            return time_run(algorithm, batches, 24)
        times, loaded = [], batches()
        state = meshes.replicate(state, meshes.make_mesh(1))
        for number in range(30):
            begun = time.perf_counter()
            sent = send([next(loaded)], stack=False)
            state, metrics = step(state, sent, jax.random.fold_in(jax.random.key(1), number))
            pending[:] = [metrics["loss"]]
            jax.block_until_ready(state)
            times.append(time.perf_counter() - begun)
        return float(np.median(times[6:]))

    return run


NUM_VOLUMES, VOLUME, CROP, NUM_CROPS = 16, (96, 96, 96), (48, 48, 48), 8


def cropping(*, on_device: bool) -> Run:
    """Random crops of int16 volumes for a step that only averages them."""
    volumes = np.random.default_rng(0).integers(-1000, 1000, (NUM_VOLUMES, *VOLUME)).astype(np.int16)

    def prepare(batch, key):
        if on_device:
            starts = patches.draw_starts(example_keys(key, NUM_CROPS), VOLUME, CROP)
            crops = batch["volume"].take_crops(batch["index"], starts, CROP)
        else:
            crops = batch["volume"]
        values = crops.astype(jnp.float32).mean(axis=(1, 2, 3))[:, None]
        return values, values

    algorithm = supervised(
        Perceptron(),
        optax.sgd(1e-9),
        prepare=prepare,
        loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
    )

    def indices(step: int) -> np.ndarray:
        return np.random.default_rng(step).integers(0, NUM_VOLUMES, NUM_CROPS)

    def batches() -> Batches:
        for step in itertools.count():
            rng = np.random.default_rng([1, step])
            starts = rng.integers(0, np.array(VOLUME) - CROP + 1, (NUM_CROPS, 3))
            chosen = zip(indices(step), starts, strict=True)
            yield {
                "volume": np.stack(
                    [volumes[i, d : d + CROP[0], h : h + CROP[1], w : w + CROP[2]] for i, (d, h, w) in chosen]
                )
            }

    if on_device:
        return lambda: time_run(
            algorithm, lambda: resident.resident_batches({"volume": volumes}, indices, 0), 40
        )
    return lambda: time_run(algorithm, batches, 40)


def dispatching_perceptron(together: int) -> Comparison:
    """A step shorter than the host's work around it, several at a call and alone."""
    batch = {"image": np.random.default_rng(0).standard_normal((32, 16), dtype=np.float32)}
    algorithm = make_perceptron()
    return (
        f"perceptron, {together} steps a dispatch / 1",
        dispatched(algorithm, batch, 320, together),
        dispatched(algorithm, batch, 320, 1),
    )


def dispatching_unet() -> Comparison:
    """A step longer than the host's work around it."""
    algorithm, batch = make_unet(widths=(8, 16, 32)), image_batch(4, 64, 64, 1)
    return (
        "2-D U-Net 8..32, 4 x 64^2, 4 steps a dispatch / 1",
        dispatched(algorithm, batch, 24, 4),
        dispatched(algorithm, batch, 24, 1),
    )


COMPARISONS: dict[str, Callable[[], Comparison]] = {
    "perceptron-4": lambda: dispatching_perceptron(4),
    "perceptron-16": lambda: dispatching_perceptron(16),
    "unet-4": dispatching_unet,
    "ahead": lambda: (
        "loader that waits 10 ms, loading ahead / after each step",
        waiting(0.01, block=False),
        waiting(0.01, block=True),
    ),
    "crops": lambda: (
        "8 crops of 48^3 from 16 volumes of 96^3, on the device / by the host",
        cropping(on_device=True),
        cropping(on_device=False),
    ),
}


def measure_time(names: list[str], rounds: int) -> list[dict[str, Any]]:
    """Alternate the two forms of each comparison, each first in every other round."""
    rows = []
    with compilation.private_cache():
        for name, after, before in (COMPARISONS[name]() for name in names):
            pairs = []
            for number in range(rounds + 1):
                if number % 2:
                    first, second = before(), after()
                    pairs.append((second, first))
                else:
                    pairs.append((after(), before()))
            pairs = pairs[1:]  # the first round compiles
            ratios = sorted(new / old for new, old in pairs)
            rows.append(
                {
                    "what": name,
                    "after_ms": 1e3 * statistics.median(new for new, _ in pairs),
                    "before_ms": 1e3 * statistics.median(old for _, old in pairs),
                    "ratio": statistics.median(ratios),
                    "range": [ratios[0], ratios[-1]],
                }
            )
            print(format_time(rows[-1]), flush=True)
    return rows


MEMORY_TITLE = "Memory of a step: 2-D residual U-Net 16..128, 128^2, Adam"
TIME_HEADER = "| what | after, ms a step | before, ms | ratio | range |\n|---|---|---|---|---|"
MEMORY_HEADER = """\
| step | arguments, MB | of them reused for results | temporaries | kept for the backward pass |
|---|---|---|---|---|"""


def format_time(row: dict[str, Any]) -> str:
    """One line of the table of times."""
    low, high = row["range"]
    return (
        f"| {row['what']} | {row['after_ms']:.3g} | {row['before_ms']:.3g} | {row['ratio']:.2f} | "
        f"{low:.2f} - {high:.2f} |"
    )


def format_memory(row: dict[str, Any]) -> str:
    """One line of the table of memory."""
    numbers = (row[name] for name in ("argument_bytes", "aliased_bytes", "temporary_bytes", "kept_bytes"))
    return f"| {row['step']} | {' | '.join(f'{number / 1e6:.2f}' for number in numbers)} |"


def plan_memory(name: str, step: Any, algorithm: fit.Algorithm, batch: Mapping[str, Any], kept: int) -> dict:
    """What the compiler plans for a jitted step."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(algorithm.init, key, batch)
    needs = cost.analyse_memory(step.lower(state, batch, key).compile())
    names = ("argument_bytes", "aliased_bytes", "temporary_bytes")
    row = {"step": name, **{field: getattr(needs, field) for field in names}, "kept_bytes": kept}
    print(format_memory(row), flush=True)
    return row


def count_kept(batch: Mapping[str, Any], **fields: Any) -> int:
    """Bytes that the forward pass of the network keeps for the backward pass, parameters included."""
    model = ResidualUNet(**fields)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), batch["image"])

    def pull_back(params, statistics, image, label):
        def loss(params):
            logits, _ = model.apply(
                {"params": params, "batch_stats": statistics}, image, train=True, mutable=["batch_stats"]
            )
            return cross_entropy.binary_cross_entropy(logits, label).mean()

        return jax.vjp(loss, params)[1]

    shapes = jax.eval_shape(
        pull_back, variables["params"], variables["batch_stats"], batch["image"], batch["label"]
    )
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def measure_memory() -> list[dict[str, Any]]:
    """A U-Net's step in several forms."""
    net: dict[str, Any] = {"widths": (16, 32, 64, 128)}

    def shapes(batch_size):
        leaf = jax.ShapeDtypeStruct((batch_size, 128, 128, 1), jnp.float32)
        return {"image": leaf, "label": leaf}

    large, small = shapes(8), shapes(2)
    plain, mesh = make_unet(**net), meshes.make_mesh(1)
    accumulated = make_unet(optimizers.accumulate(optax.adam(1e-3), 4), **net)
    kept, kept_small = count_kept(large, **net), count_kept(small, **net)
    steps = {
        "batch of 8": (fit.compile_step(plain, mesh), plain, large, kept),
        "not donated": (jax.jit(guard.keep_finite(plain.step)), plain, large, kept),
        "donated, without the guard": (jax.jit(plain.step, donate_argnums=0), plain, large, kept),
        "batch of 2": (fit.compile_step(plain, mesh), plain, small, kept_small),
        "batch of 2, accumulated to 8": (fit.compile_step(accumulated, mesh), accumulated, small, kept_small),
    }
    rows = [plan_memory(name, *what) for name, what in steps.items()]
    for name, fields in {
        "bfloat16": {"dtype": jnp.bfloat16},
        "remat": {"remat": True},
        "bfloat16, remat": {"dtype": jnp.bfloat16, "remat": True},
    }.items():
        changed = make_unet(**net, **fields)
        step = fit.compile_step(changed, mesh)
        rows.append(
            plan_memory(f"batch of 8, {name}", step, changed, large, count_kept(large, **net, **fields))
        )
    return rows


def main() -> None:
    """Run the benchmark, print the table and write the files."""
    host.tune_malloc()
    arguments = parse_arguments()
    machine = {
        **provenance.describe(),
        "num_processors": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }
    is_time = arguments.what == "time"
    header, show = (TIME_HEADER, format_time) if is_time else (MEMORY_HEADER, format_memory)
    print(header, flush=True)
    rows = measure_time(arguments.only, arguments.rounds) if is_time else measure_memory()
    if arguments.output:
        file = arguments.output.with_suffix(".json")
        rows = join(file, machine["commit"], rows) if is_time else rows
        where = ", ".join(f"{name} {value}" for name, value in machine.items())
        table = "\n".join([header, *map(show, rows)])
        title = "Around the step: time" if is_time else MEMORY_TITLE
        file.with_suffix(".md").write_text(f"# {title}\n\n{where}\n\n{table}\n")
        file.write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n")


def join(file: Path, commit: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, after those of earlier calls at the same commit that were not measured anew."""
    before = json.loads(file.read_bytes()) if file.exists() else {"commit": None}
    names = {row["what"] for row in rows}
    kept = [row for row in before["rows"] if row["what"] not in names] if before["commit"] == commit else []
    return kept + rows


if __name__ == "__main__":
    main()
