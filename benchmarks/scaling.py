"""Check training on many devices, count its communication, and calculate how it scales.

python -m benchmarks.scaling measured --output benchmarks/results/scaling-measured
python -m benchmarks.scaling calculated --output benchmarks/results/scaling-calculated

MEASURED, on forced host devices: small models and every paper's tiny preset are trained for two steps
on each mesh and compared with one device, strong (a batch of 8 split over the devices) and weak (one example
for each device); of each compiled step the collective operations and their bytes are counted. A 2-D and a 3-D
residual U-Net run in float64, so that a wrong sum cannot hide behind rounding; papers in their own float32.

CALCULATED: the all-reduces of paper-sized steps, as compiled for 8 devices, against the data sheets'
rates (jaxmed.bench.scaling), with the step on one device at the data sheet's roofline of its matrix products
and convolutions. No device can be faster, so that the efficiencies are lower than what a real, slower step
keeps as far as rates are reached, and nothing but a calculation.
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.verbs import papers, provenance
from jaxmed.algorithms.supervised import supervised
from jaxmed.bench import arithmetic, collectives, scaling
from jaxmed.models.residual_unet import ResidualUNet
from jaxmed.train import fit
from jaxmed.train import mesh as meshes

STRONG_BATCH = 8
NUM_STEPS = 2
COUNTED = (
    "| model | scaling | mesh (data x space) | batch | largest difference from one device | collectives: "
)
COUNTED += "number, MB |\n|---|---|---|---|---|---|"
CALCULATED = """\
| step | batch of a device | machine | devices | compute, ms | kernels, ms | other sums, ms | efficiency | \
overlapped |
|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        name: for the table.
        make_algorithm: `(batch size) -> Algorithm`.
        make_batch: `(batch size) -> batch`.
        has_volumes: whether its depth can be split.
        in_float64: whether it runs in float64.
    """

    name: str
    make_algorithm: Callable[[int], fit.Algorithm]
    make_batch: Callable[[int], Mapping[str, Any]]
    has_volumes: bool = False
    in_float64: bool = False


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("measured", "calculated"))
    parser.add_argument("--devices", type=int, nargs="+", help="1 2 4 8 measured, 8 64 512 calculated")
    parser.add_argument("--papers", nargs="*", help="these papers, or none; all by default")
    parser.add_argument("--machines", nargs="+", choices=scaling.MACHINES, default=list(scaling.MACHINES))
    parser.add_argument("--output", type=Path, help="path of the results, without .json and .md")
    return parser.parse_args()


def make_unet(widths: tuple[int, ...], dtype: Any, volumes: tuple[str, ...] = ()) -> fit.Algorithm:
    """Segmentation by a residual U-Net, of images or of the volumes that are named."""

    def loss(logits, labels):  # the library's losses are float32
        return optax.sigmoid_binary_cross_entropy(logits, labels).reshape(len(logits), -1).mean(axis=1)

    return supervised(
        ResidualUNet(widths=widths, dtype=dtype),
        optax.sgd(0.1),
        prepare=lambda batch, key: (batch["image"], batch["label"]),
        loss=loss,
        volumes=volumes,
    )


def own_cases() -> list[Case]:
    """A 2-D and a 3-D network in float64."""

    def make_batch(shape):
        def make(batch_size):
            image = np.random.default_rng(0).standard_normal((batch_size, *shape, 1))
            return {"image": image, "label": (image > 0.5).astype(np.float64)}

        return make

    def planar(batch_size):
        return make_unet((4, 6, 8), jnp.float64)

    def volumetric(batch_size):
        return make_unet((4, 6, 8), jnp.float64, ("image", "label"))

    return [
        Case("2-D U-Net", planar, make_batch((16, 16)), in_float64=True),
        Case("3-D U-Net", volumetric, make_batch((16, 8, 8)), has_volumes=True, in_float64=True),
    ]


def paper_case(paper: str) -> Case:
    """A paper's tiny preset with batches of any size, out of the ones that it gives."""
    experiment = papers.find_paper(paper)
    tiny = papers.find_preset(experiment, "tiny")

    def with_size(batch_size):
        return dataclasses.replace(tiny, batch_size=batch_size)

    def make_batch(batch_size):
        shapes = experiment.example_batch(with_size(batch_size))
        rng = np.random.default_rng(0)
        return jax.tree.map(
            lambda leaf: (
                rng.standard_normal(leaf.shape).astype(leaf.dtype)
                if jnp.issubdtype(leaf.dtype, jnp.floating)
                else rng.integers(0, 2, leaf.shape).astype(leaf.dtype)
            ),
            dict(shapes),
        )

    return Case(
        f"{paper}, tiny",
        lambda batch_size: experiment.make_algorithm(with_size(batch_size), None),
        make_batch,
        has_volumes=bool(experiment.make_algorithm(tiny, None).volumes.names),
    )


def compile_on(algorithm: fit.Algorithm, batch: Mapping[str, Any], data: int, space: int):
    """The compiled step and its first arguments on a mesh."""
    mesh = meshes.make_mesh(data, space)
    state = jax.jit(algorithm.init)(jax.random.key(0), batch)
    if jax.config.jax_enable_x64:  # statistics begin in float32
        state = jax.tree.map(
            lambda leaf: leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, state
        )
    state, key = meshes.replicate((state, jax.random.key(1)), mesh)
    arguments = state, meshes.put_batch(batch, mesh, algorithm.volumes), key
    return fit.compile_step(algorithm, mesh).lower(*arguments).compile(), arguments


def run(case: Case, batch_size: int, data: int, space: int) -> tuple[list[float], list]:
    """The losses of some steps on one batch, and the collective operations of the step."""
    with jax.enable_x64(case.in_float64):
        step, (state, batch, key) = compile_on(
            case.make_algorithm(batch_size), case.make_batch(batch_size), data, space
        )
        values = []
        for _ in range(NUM_STEPS):
            state, metrics = step(state, batch, key)
            values += [float(value) for name, value in sorted(metrics.items()) if "loss" in name]
    return values, collectives.list_collectives(step.as_text())


def count(case: Case, devices: list[int]) -> list[dict[str, Any]]:
    """The rows of one case: strong and weak scaling on every mesh."""
    rows, runs = [], {}

    def run_once(*layout: int) -> tuple[list[float], list]:
        if layout not in runs:
            runs[layout] = run(case, *layout)
        return runs[layout]

    for scale in ("strong", "weak"):
        for num_devices in devices:
            batch_size = STRONG_BATCH if scale == "strong" else num_devices
            layouts = [(num_devices, 1)]
            if case.has_volumes and num_devices > 1 and scale == "strong":
                layouts += [(1, num_devices)] + ([(num_devices // 2, 2)] if num_devices > 2 else [])
            wanted = np.array(run_once(batch_size, 1, 1)[0])
            for data, space in layouts:
                values, found = run_once(batch_size, data, space)
                rows.append(
                    {
                        "model": case.name,
                        "scaling": scale,
                        "mesh": [data, space],
                        "batch": batch_size,
                        "difference": float(np.max(np.abs(np.array(values) / wanted - 1))),
                        "collectives": collectives.count_by_kind(found),
                    }
                )
                print(format_count(rows[-1]), flush=True)
    return rows


def format_count(row: dict[str, Any]) -> str:
    """One line of the table of counts."""
    kinds = (f"{kind} {number}, {size / 1e6:.3f}" for kind, (number, size) in row["collectives"].items())
    mesh = " x ".join(map(str, row["mesh"]))
    return (
        f"| {row['model']} | {row['scaling']} | {mesh} | {row['batch']} | {row['difference']:.0e} | "
        f"{'; '.join(kinds) or '0'} |"
    )


@dataclass(frozen=True)
class Need:
    """A step for the calculation: arithmetic and memory traffic of a device's batch, and the all-reduces."""

    name: str
    batch: int
    flops: int
    num_bytes: int
    traffic: scaling.Traffic


def count_need(
    name: str, algorithm: fit.Algorithm, batch: Mapping[str, Any], small: Mapping[str, Any]
) -> Need:
    """Traces the step with the shapes of `batch`; compiles it with `small`, which moves as much.

    The sums over devices have the shapes of parameters and statistics, not of images.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(algorithm.init, key, batch)
    jaxpr = jax.make_jaxpr(algorithm.step)(state, batch, key)
    step, _ = compile_on(algorithm, small, 8, 1)
    return Need(
        name=name,
        batch=next(iter(batch.values())).shape[0],
        flops=arithmetic.count_matrix_arithmetic(jaxpr).total,
        num_bytes=arithmetic.count_matrix_bytes(jaxpr),
        traffic=scaling.split_traffic(collectives.list_collectives(step.as_text())),
    )


def needs(names: list[str]) -> list[Need]:
    """A 3-D U-Net of nnU-Net's size, and papers at their own size."""

    def shapes(batch_size, size):
        leaf = jax.ShapeDtypeStruct((batch_size, size, size, size, 1), jnp.float32)
        return {"image": leaf, "label": leaf}

    def zeros(tree):
        return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), dict(tree))

    unet = make_unet((32, 64, 128, 256, 320, 320), jnp.bfloat16)
    found = [count_need("3-D U-Net 32..320, 128^3, bfloat16", unet, shapes(2, 128), zeros(shapes(8, 32)))]
    for paper in names:
        experiment = papers.find_paper(paper)
        config = papers.find_preset(experiment, "paper")
        small = zeros(experiment.example_batch(dataclasses.replace(config, batch_size=8)))
        algorithm = experiment.make_algorithm(config, None)
        found.append(count_need(f"{paper}, paper", algorithm, experiment.example_batch(config), small))
    return found


def calculate(need: Need, machine: scaling.Machine, devices: list[int]) -> list[dict[str, Any]]:
    """The rows of one step on one machine."""
    seconds = scaling.ideal_step_seconds(need.flops, need.num_bytes, machine)
    return [
        {
            "step": need.name,
            "batch": need.batch,
            "machine": machine.name,
            **dataclasses.asdict(scaling.predict(seconds, need.traffic, number, machine)),
        }
        for number in devices
    ]


def format_calculation(row: dict[str, Any]) -> str:
    """One line of the table of calculations."""
    times = (f"{1e3 * row[name]:.3g}" for name in ("compute_seconds", "kernel_seconds", "other_seconds"))
    shares = (f"{100 * row[name]:.1f} %" for name in ("efficiency", "overlapped_efficiency"))
    first = (row["step"], row["batch"], row["machine"], row["num_devices"])
    return f"| {' | '.join(map(str, (*first, *times, *shares)))} |"


def describe_inputs(found: list[Need], machines: list[scaling.Machine]) -> list[str]:
    """What the calculation was made of."""
    lines = [
        f"- {need.name}, batch {need.batch}: {need.flops / 1e12:.3g} TFLOP and {need.num_bytes / 1e9:.3g} GB "
        f"in products and convolutions; kernels {need.traffic.kernel_bytes / 1e6:.3g} MB in "
        f"{need.traffic.num_kernels} all-reduces, other {need.traffic.other_bytes / 1e6:.3g} MB in "
        f"{need.traffic.num_others}"
        for need in found
    ]
    for machine in machines:
        links = (
            f"{link.name} {link.bytes_per_second / 1e9:.4g} GB/s each way, "
            f"{1e6 * link.latency_seconds:.0f} us assumed ({link.source})"
            for link in (machine.inside, machine.between)
        )
        lines.append(
            f"- {machine.name}: {machine.flops_per_second / 1e12:.0f} TFLOP/s bfloat16, "
            f"{machine.memory_bytes_per_second / 1e12:.3g} TB/s ({machine.source}); "
            f"{machine.node_size} a node; {'; '.join(links)}"
        )
    return lines


def measure(arguments: argparse.Namespace, names: list[str]) -> tuple[str, dict[str, Any]]:
    """Compare and count; the table and the rows."""
    print(COUNTED, flush=True)
    cases = own_cases() + [paper_case(name) for name in names]
    rows = [row for case in cases for row in count(case, arguments.devices or [1, 2, 4, 8])]
    return "\n".join([COUNTED, *map(format_count, rows)]), {"measured": rows}


def calculate_all(arguments: argparse.Namespace, names: list[str]) -> tuple[str, dict[str, Any]]:
    """Calculate; the table with its inputs, and the rows."""
    found, machines = needs(names), [scaling.MACHINES[name] for name in arguments.machines]
    devices = arguments.devices or [8, 64, 512]
    rows = [row for need in found for machine in machines for row in calculate(need, machine, devices)]
    inputs = describe_inputs(found, machines)
    table = "\n".join([CALCULATED, *map(format_calculation, rows), "", "Inputs:", "", *inputs])
    print(table, flush=True)
    return table, {"calculated": rows, "inputs": inputs}


TITLES = {
    "measured": "Scaling, measured on forced host devices",
    "calculated": "Weak scaling: a CALCULATION from data sheets, nothing measured",
}


def main() -> None:
    """Run one part, print its table and write the files."""
    arguments = parse_arguments()
    machine = {**provenance.describe(), "num_processors": os.cpu_count()}
    names = papers.paper_names() if arguments.papers is None else arguments.papers
    print(f"# {TITLES[arguments.what]}\n", flush=True)
    part = measure if arguments.what == "measured" else calculate_all
    table, rows = part(arguments, names)
    if arguments.output:
        where = ", ".join(f"{name} {value}" for name, value in machine.items())
        arguments.output.with_suffix(".md").write_text(f"# {TITLES[arguments.what]}\n\n{where}\n\n{table}\n")
        arguments.output.with_suffix(".json").write_text(json.dumps({**machine, **rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
