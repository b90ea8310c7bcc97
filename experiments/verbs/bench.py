"""The verb bench: start, time, cost and limits of a paper's training step."""

import contextlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from experiments.contract import Config
from experiments.verbs import bench_table, configs, papers, provenance, runs
from experiments.verbs.errors import UserError
from experiments.verbs.options import RunOptions
from jaxmed.bench import measurement
from jaxmed.bench.arithmetic import Kind
from jaxmed.train import hosts

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


@dataclass(frozen=True)
class BenchOptions(RunOptions):
    """Measures the training step of one config and writes <workdir>/<paper>/bench-<label>-<hash>.json.

    `python -m experiments bench --all` measures all papers; `bench --compare A.json B.json` sets two
    measurements side by side. docs/benchmarks.md says how to read the numbers.
    """

    seed: int = 0
    """Seed of everything random."""

    steps: int = 30
    """Steps that are timed: alone, in the training loop, and there with the real input."""

    peak_dtype: str | None = None
    """Dtype of the product of matrices that is the ceiling of arithmetic; by default the step's own."""

    profile: bool = False
    """Also record five steps with JAX's profiler."""


def bench(paper: str, preset: str, config: Config, options: BenchOptions) -> int:
    """Measures, prints and writes.

    Raises:
        UserError: if the options or the mesh do not fit.
    """
    if options.steps < 1:
        raise UserError(f"--steps is {options.steps}; wanted at least 1")
    experiment = papers.find_paper(paper)
    name = runs.RunName(paper, preset, config, options.seed)
    mesh = runs.make_mesh(name, options)
    file = result_file(name, options)
    folder = file.with_suffix("") if options.profile else None
    data = runs.make_data(experiment, name, options)
    with contextlib.closing(data.batches(0)) as batches:
        measured = measurement.measure(
            experiment.make_algorithm(config, data),
            batches,
            key=jax.random.key(options.seed),
            mesh=mesh,
            mode=options.compile,
            num_steps=options.steps,
            steps_per_dispatch=options.steps_per_dispatch,
            kind=_kind(options.peak_dtype),
            trace_folder=folder,
        )
    if hosts.is_main_process():
        source = {
            **_describe(name, options),
            "data": data.name,
            "mesh": dict(mesh.shape),
            **provenance.describe(),
        }
        _report(file, {**source, **measured.flat()}, folder)
    return 0


def result_file(name: runs.RunName, options: RunOptions) -> Path:
    """Where the measurement of a config is written."""
    label = runs.run_folder(name, options).parent.name
    return options.workdir / name.paper / f"bench-{label}.json"


def _kind(dtype: str | None) -> Kind | None:
    if dtype is None:
        return None
    try:
        return Kind(jax.numpy.dtype(dtype).name)
    except TypeError as error:
        raise UserError(
            f"--peak-dtype '{dtype}' is no dtype; wanted one such as float32 or bfloat16"
        ) from error


def _describe(name: runs.RunName, options: BenchOptions) -> dict[str, Any]:
    device = jax.devices()[0]
    return {
        "paper": name.paper,
        "preset": name.preset,
        "label": configs.label(
            name.preset, papers.find_preset(papers.find_paper(name.paper), name.preset), name.config
        ),
        "config": configs.to_json(name.config),
        "seed": name.seed,
        "compile": options.compile,
        "steps_per_dispatch": options.steps_per_dispatch,
        "deterministic": options.deterministic,
        "num_processes": jax.process_count(),
        "platform": device.platform,
        "platform_version": device.client.platform_version,
        "versions": {package: importlib.metadata.version(package) for package in _PACKAGES},
    }


def _report(file: Path, content: dict[str, Any], trace_folder: Path | None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    runs.write_json(file, content)
    bench_table.show(content)
    print(f"written: {file}")
    if trace_folder is not None:
        recordings = (trace_folder / "plugins" / "profile").glob("*/perfetto_trace.json.gz")
        newest = max(recordings, key=lambda path: path.stat().st_mtime)
        print(f"profile: open https://ui.perfetto.dev and drop {newest} there;")
        print(f"         or: pip install xprof, then: xprof --logdir {trace_folder}")
