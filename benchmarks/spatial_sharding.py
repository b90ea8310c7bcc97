"""Measure what splitting the depth of volumes over devices saves, costs and changes.

python -m benchmarks.spatial_sharding --size 32 --depths 64 50 --output benchmarks/results/spatial-sharding

For every number of devices, one training step of the 3-D residual U-Net is compiled and run on as many host
devices: temporary memory of one device, collective operations, and the largest difference of the loss and
the gradients from one device's in float32 and in float64. Each gradient is divided by its array's largest
element. A float32 gradient of a deep network jumps where rounding takes a ReLU or a maximum to the other
side; the line "input + 1 ulp" says by how much on one device alone, when the volume is rounded differently.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.verbs import provenance
from jaxmed.algorithms.supervised import supervised
from jaxmed.bench import collectives
from jaxmed.models.residual_unet import ResidualUNet
from jaxmed.train import fit, host
from jaxmed.train import mesh as meshes

_HALO = "collective-permute"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=32, help="height and width of the volume")
    parser.add_argument("--depths", type=int, nargs="+", default=[64, 50], help="depths of the volume")
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 16, 24, 32, 48], help="of the network")
    parser.add_argument("--space", type=int, nargs="+", default=[1, 2, 4, 8], help="numbers of devices")
    parser.add_argument("--output", type=Path, help="path of the results, without .json and .md")
    return parser.parse_args()


def make_algorithm(widths: list[int], dtype: Any) -> fit.Algorithm:
    """Segmentation with an optimizer whose state holds the last gradient."""
    optimizer = optax.chain(optax.trace(decay=0.0), optax.scale(-1e-3))

    def loss(logits, targets):
        return optax.sigmoid_binary_cross_entropy(logits, targets).mean((1, 2, 3, 4))

    return supervised(
        ResidualUNet(widths=tuple(widths), dtype=dtype),
        optimizer,
        prepare=lambda batch, _: (batch["volume"], batch["label"]),
        loss=loss,
        volumes=("volume", "label"),
    )


def make_batch(depth: int, size: int, dtype: Any, *, ulps: int = 0) -> dict[str, np.ndarray]:
    """One volume of noise and a label that depends on it; `ulps` moves the volume by that many roundings."""
    volume = np.random.default_rng(0).standard_normal((1, depth, size, size, 1), dtype=np.float32)
    label = (volume > 0.5).astype(dtype)
    for _ in range(ulps):
        volume = np.nextafter(volume, np.float32(np.inf))
    return {"volume": volume.astype(dtype), "label": label}


def fill(shapes: Any, dtype: Any) -> Any:
    """A state without running the initialisers: kernels of unit gain, other numbers around 1 / 2."""
    rng = np.random.default_rng(1)

    def draw(leaf):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return np.zeros(leaf.shape, leaf.dtype)
        values = rng.standard_normal(leaf.shape, dtype=np.float32)
        fan_in = max(int(np.prod(leaf.shape[:-1])), 1)
        return (values / fan_in**0.5 if leaf.ndim > 1 else 0.5 + 0.1 * values).astype(dtype)

    return jax.tree.map(draw, shapes)


def measure(arguments: argparse.Namespace, depth: int, space: int, dtype: Any, ulps: int = 0) -> dict:
    """Compile and run one step on `space` devices."""
    algorithm = make_algorithm(arguments.widths, dtype)
    batch, mesh = make_batch(depth, arguments.size, dtype, ulps=ulps), meshes.make_mesh(1, space)
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0), batch)
    state, key = jax.device_put((fill(shapes, dtype), jax.random.key(1)), meshes.replicated(mesh))
    batch = meshes.put_batch(batch, mesh, algorithm.volumes)
    step = fit.compile_step(algorithm, mesh).lower(state, batch, key).compile()
    moved = collectives.list_collectives(step.as_text())
    activations = collectives.moved_activations(moved, state)
    state, metrics = step(state, batch, key)
    return {
        "temporary_bytes": step.memory_analysis().temp_size_in_bytes,
        "collectives": collectives.count_by_kind(moved),
        "activations": collectives.count_by_kind(activations),
        "loss": np.asarray(metrics["loss"]),
        "gradient": jax.device_get(state.net.opt_state[0].trace),
    }


def difference(found: dict, wanted: dict) -> dict[str, float]:
    """Relative difference of the losses, and the largest one of any gradient."""
    gradients = zip(*(jax.tree.leaves(run["gradient"]) for run in (found, wanted)), strict=True)
    return {
        "loss": float(abs(found["loss"] / wanted["loss"] - 1)),
        "gradient": max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in gradients),
    }


def compare(arguments: argparse.Namespace, depth: int) -> list[dict[str, Any]]:
    """All rows of one depth."""
    one = measure(arguments, depth, 1, np.float32)
    with jax.enable_x64(True):
        exact = measure(arguments, depth, 1, np.float64)
    other = measure(arguments, depth, 1, np.float32, ulps=1)
    rows = [{"depth": depth, "space": "1, input + 1 ulp", "float32": difference(other, one)}]
    for space in arguments.space:
        run = one if space == 1 else measure(arguments, depth, space, np.float32)
        with jax.enable_x64(True):
            precise = exact if space == 1 else measure(arguments, depth, space, np.float64)
        row = {name: run[name] for name in ("temporary_bytes", "collectives", "activations")}
        row["ratio"] = run["temporary_bytes"] / one["temporary_bytes"]
        row["float32"], row["float64"] = difference(run, one), difference(precise, exact)
        rows.insert(-1, {"depth": depth, "space": str(space), **row})
        print(format_row(rows[-2]), flush=True)
    print(format_row(rows[-1]), flush=True)
    return rows


HEADER = """\
| depth | mesh.space | temporaries, MB a device | ratio | activations collected | halos: number, MB | \
other collectives: number, MB | loss, float32 | gradient, float32 | loss, float64 | gradient, float64 |
|---|---|---|---|---|---|---|---|---|---|---|"""


def format_row(row: dict[str, Any]) -> str:
    """One line of the Markdown table."""
    cells = [str(row["depth"]), row["space"]]
    if "temporary_bytes" in row:
        halo = {kind: counts for kind, counts in row["collectives"].items() if kind == _HALO}
        rest = {kind: counts for kind, counts in row["collectives"].items() if kind != _HALO}
        cells += [f"{row['temporary_bytes'] / 1e6:.1f}", f"{row['ratio']:.3f}"]
        cells += [_format_counts(counts) for counts in (row["activations"], halo, rest)]
    else:
        cells += [""] * 5
    for dtype in ("float32", "float64"):
        values = row.get(dtype, {})
        cells += [f"{values[name]:.0e}" if name in values else "" for name in ("loss", "gradient")]
    return f"| {' | '.join(cells)} |"


def _format_counts(counts: dict[str, tuple[int, int]]) -> str:
    parts = [f"{kind} {number}, {num_bytes / 1e6:.2f}" for kind, (number, num_bytes) in counts.items()]
    return "; ".join(parts) or "0"


def main() -> None:
    """Run the benchmark, print the table and write the files."""
    host.tune_malloc()
    arguments = parse_arguments()
    machine = {**provenance.describe(), "num_processors": os.cpu_count()}
    print(HEADER, flush=True)
    rows = [row for depth in arguments.depths for row in compare(arguments, depth)]
    if arguments.output:
        settings = {name: value for name, value in vars(arguments).items() if name != "output"}
        text = "\n".join([HEADER, *map(format_row, rows)])
        title = (
            f"3-D ResidualUNet, widths {arguments.widths}, 1 x depth x {arguments.size} x {arguments.size}"
        )
        where = ", ".join(f"{name} {value}" for name, value in machine.items())
        arguments.output.with_suffix(".md").write_text(f"# {title}\n\n{where}\n\n{text}\n")
        results = json.dumps({**settings, **machine, "rows": rows}, indent=2)
        arguments.output.with_suffix(".json").write_text(results + "\n")


if __name__ == "__main__":
    main()
