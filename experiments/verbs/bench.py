"""The verb bench: time and cost of a paper's training step."""

import dataclasses
from dataclasses import dataclass

import jax
from rich.console import Console
from rich.table import Table as RichTable

from experiments.contract import Config
from experiments.verbs import papers, provenance, runs
from experiments.verbs.options import RunOptions
from jaxmed.bench import step as bench_step
from jaxmed.train import hosts


@dataclass(frozen=True)
class BenchOptions(RunOptions):
    """Times the training step of one config and writes <workdir>/<paper>/bench-<label>.json."""

    seed: int = 0
    """Seed of everything random."""

    steps: int = 30
    """Steps that are timed."""


def bench(paper: str, preset: str, config: Config, options: BenchOptions) -> int:
    """Measures, prints and writes."""
    experiment = papers.find_paper(paper)
    name = runs.RunName(paper, preset, config, options.seed)
    data = runs.make_data(experiment, name, options)
    cost = bench_step.measure_step(
        experiment.make_algorithm(config, data),
        data.batches(0),
        key=jax.random.key(options.seed),
        mesh=runs.make_mesh(config, options),
        mode=options.compile,
        num_steps=options.steps,
    )
    if hosts.is_main_process():
        _report(paper, runs.run_folder(name, options).parent.name, data.name, cost, options)
    return 0


def _report(paper: str, label: str, data_name: str, cost: bench_step.StepCost, options: BenchOptions) -> None:
    measured = dataclasses.asdict(cost)
    content = {"paper": paper, "config": label, "data": data_name, **provenance.describe(), **measured}
    file = options.workdir / paper / f"bench-{label}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    runs.write_json(file, content)
    grid = RichTable("quantity", "value", title=f"{paper} {label}")
    for quantity, value in content.items():
        grid.add_row(quantity, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(grid)
    print(f"written: {file}")
