"""The forms of bench that name no paper: all papers at a preset, and two files compared."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import experiments
from experiments.verbs import bench_files, command_line, errors, papers, runs
from experiments.verbs.bench import BenchOptions, result_file
from experiments.verbs.errors import UserError
from experiments.verbs.list_papers import methods

_PROGRAM = "python -m experiments bench"
_ROOT = Path(experiments.__path__[0]).parent


@dataclass(frozen=True)
class BenchAllOptions(BenchOptions):
    """Measures the training step of every paper, each in a process of its own, one after the other.

    Writes each paper's own file as `bench <paper> <preset>` does, and all in one as
    <workdir>/bench-<preset>.json and .md.
    """

    preset: str = "tiny"
    """Sizes: paper, demo or tiny."""

    papers: tuple[str, ...] = ()
    """Only these; by default all."""

    methods: Literal["default", "all"] = "default"
    """The method of each preset, or all that the paper's config can choose."""


def without_paper(arguments: Sequence[str]) -> int:
    """Carries out `bench --all [options]` or `bench --compare A.json B.json`.

    Returns:
        The exit code: 1 if a paper could not be measured.

    Raises:
        UserError: if the command cannot be carried out as it stands.
    """
    if arguments[0] == "--all":
        parsed = command_line.parse(f"{_PROGRAM} --all", {"options": BenchAllOptions()}, arguments[1:])
        return bench_all(parsed["options"])
    if len(arguments) != 3:
        raise UserError(f"bench --compare takes two files, A.json B.json; found {len(arguments) - 1}")
    return bench_files.compare(Path(arguments[1]), Path(arguments[2]))


def bench_all(options: BenchAllOptions) -> int:
    """Measures, writes the files, and prints the table.

    Raises:
        UserError: for an unknown paper or preset, or several processes.
    """
    if options.hosts.coordinator is not None:
        raise UserError("bench --all measures with one process; for several, bench each paper by itself")
    names = list_names(options)
    entries, failures = [], []
    for number, (name, method) in enumerate(names, start=1):
        print(f"{number}/{len(names)} {name.paper} {method}".rstrip(), file=sys.stderr)
        exit_code = _measure(name, method, options)
        if exit_code:
            failures.append({"paper": name.paper, "method": method, "exit_code": exit_code})
        else:
            entries += bench_files.read(result_file(name, options))
    stem = options.workdir / f"bench-{options.preset}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    text = bench_files.to_markdown(entries, failures)
    runs.write_json(stem.with_suffix(".json"), {"measurements": entries, "failures": failures})
    stem.with_suffix(".md").write_text(text)
    print(text)
    print(f"written: {stem.with_suffix('.json')} {stem.with_suffix('.md')}")
    return 1 if failures else 0


def list_names(options: BenchAllOptions) -> list[tuple[runs.RunName, str]]:
    """What is measured: each run, with its method where that is not the preset's own.

    Raises:
        UserError: for an unknown paper or preset.
    """
    known = papers.paper_names()
    found = []
    for paper in options.papers or known:
        experiment = papers.find_paper(errors.choose("paper", paper, known))
        config = papers.find_preset(experiment, options.preset)
        found.append((runs.RunName(paper, options.preset, config, options.seed), ""))
        if options.methods == "default" or experiment.method_field is None:
            continue
        for method in methods(experiment):
            if method != getattr(config, experiment.method_field):
                changed = dataclasses.replace(config, **{experiment.method_field: method})
                found.append((runs.RunName(paper, options.preset, changed, options.seed), method))
    return found


def _measure(name: runs.RunName, method: str, options: BenchAllOptions) -> int:
    """Measures in a new process: nothing compiled, allocated or broken by another paper is there."""
    command = [sys.executable, "-m", "experiments", "bench", name.paper, name.preset]
    if method:
        field = papers.find_paper(name.paper).method_field
        command += [f"--{field}".replace("_", "-"), method]
    shared = {field.name: getattr(options, field.name) for field in dataclasses.fields(BenchOptions)}
    command += as_arguments(BenchOptions(**shared), BenchOptions())
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [*command, "--hosts.num-processes", "1"], env={**os.environ, "PYTHONPATH": path}
    ).returncode


def as_arguments(options: Any, defaults: Any, prefix: str = "") -> list[str]:
    """What to type after a command with the options `defaults` to give it `options`."""
    arguments = []
    for field in dataclasses.fields(options):
        value, default = getattr(options, field.name), getattr(defaults, field.name)
        name = f"{prefix}{field.name}".replace("_", "-")
        if dataclasses.is_dataclass(value):
            arguments += as_arguments(value, default, f"{name}.")
        elif value != default and isinstance(value, bool):
            head, _, last = name.rpartition(".")
            arguments.append(f"--{name}" if value else f"--{head}{'.' if head else ''}no-{last}")
        elif value != default:
            arguments += [f"--{name}", str(value)]
    return arguments
