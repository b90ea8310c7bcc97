"""Files of measurements: several in one, as Markdown, and two set side by side."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from experiments.verbs import bench_table
from experiments.verbs.errors import UserError

_RATIOS = (
    "trace_seconds",
    "compile_seconds",
    "cached_compile_seconds",
    "step_ms",
    "dispatch_ms",
    "loop_ms",
    "input_loop_ms",
    "examples_per_second",
    "input_wait_fraction",
    "flops",
    "bytes",
    "achieved_flops_per_second",
    "achieved_bytes_per_second",
    "peak_flops_per_second",
    "peak_bytes_per_second",
    "roofline_fraction",
    "peak_memory_bytes",
    "device_peak_bytes",
)
"""What is compared, as far as both files have it."""

_FACTS = (
    "device",
    "platform_version",
    "versions",
    "commit",
    "config",
    "seed",
    "data",
    "mesh",
    "num_processes",
    "compile",
    "steps_per_dispatch",
    "deterministic",
    "num_steps",
    "peak_dtype",
    "peak_precision",
)
"""What must be equal for ratios to mean what they seem to."""

Entry = Mapping[str, Any]
"""One measurement, as `bench` writes it."""


def read(file: Path) -> Sequence[Entry]:
    """The measurements in a file of one or of many.

    Raises:
        UserError: if the file cannot be read or holds no measurement.
    """
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
    listed = content.get("measurements", [content]) if isinstance(content, dict) else []
    wanted = ("paper", "label", "step_ms")
    entries = [entry for entry in listed if isinstance(entry, dict) and all(name in entry for name in wanted)]
    if not entries or len(entries) < len(listed):
        raise UserError(f"{file} is no file of bench: it lacks {', '.join(wanted)}")
    return entries


def compare(first: Path, second: Path) -> int:
    """Prints, for what both files measured, the numbers and the ratios of the second to the first.

    Raises:
        UserError: if a file cannot be read, or they have nothing in common.
    """
    before, after = ({(e["paper"], e["label"]): e for e in read(file)} for file in (first, second))
    common = [name for name in before if name in after]
    if not common:
        raise UserError(
            f"{first} has {_names(before)}, {second} has {_names(after)}; nothing is in both, so there is "
            f"nothing to compare"
        )
    console = Console()
    for name in common:
        console.print(_ratios(before[name], after[name]))
        for note in differences(before[name], after[name]):
            console.print(f"differs: {note}", markup=False, soft_wrap=True)
    for file, entries, others in ((first, before, after), (second, after, before)):
        alone = [name for name in entries if name not in others]
        if alone:
            console.print(f"only in {file}: {_names(alone)}", markup=False, soft_wrap=True)
    return 0


def _names(entries: Any) -> str:
    return ", ".join(" ".join(name) for name in entries)


def ratio(first: Entry, second: Entry, name: str) -> float | None:
    """The quantity of the second over that of the first; None where one is missing or both are zero."""
    before, after = first.get(name), second.get(name)
    if before is None or after is None or (before == 0 and after == 0):
        return None
    return after / before if before else math.inf


def differences(first: Entry, second: Entry) -> list[str]:
    """In which facts two measurements differ, each in a few words."""
    notes = []
    for fact in _FACTS:
        before, after = first.get(fact), second.get(fact)
        if isinstance(before, dict) and isinstance(after, dict):
            names = [n for n in {**before, **after} if before.get(n) != after.get(n)]
            notes += [f"{fact} {n}: {before.get(n)} | {after.get(n)}" for n in names]
        elif before != after:
            notes.append(f"{fact}: {before} | {after}")
    if first["step_ms_p10"] <= second["step_ms_p90"] and second["step_ms_p10"] <= first["step_ms_p90"]:
        notes.append("nothing certain in step_ms: the ranges from p10 to p90 overlap")
    return notes


def _ratios(first: Entry, second: Entry) -> RichTable:
    grid = RichTable("quantity", "A", "B", "B / A", title=f"{first['paper']} {first['label']}")
    for name in _RATIOS:
        value = ratio(first, second, name)
        if value is not None:
            grid.add_row(name, f"{first[name]:.4g}", f"{second[name]:.4g}", f"{value:.3f}")
    return grid


def to_markdown(entries: Sequence[Entry], failures: Sequence[Mapping[str, Any]]) -> str:
    """Measurements as one table, with where they come from, and what could not be measured."""
    view = bench_table
    columns = {
        "paper": lambda e: e["paper"],
        "config": lambda e: e["label"],
        "compile (cached)": lambda e: (
            f"{view.seconds(e['compile_seconds'])} ({view.seconds(e['cached_compile_seconds'])})"
        ),
        "step (p10 - p90)": lambda e: (
            f"{view.milliseconds(e['step_ms'])} "
            f"({view.milliseconds(e['step_ms_p10'])} - {view.milliseconds(e['step_ms_p90'])})"
        ),
        "examples/s": lambda e: f"{e['examples_per_second']:.4g}",
        "loop overhead": lambda e: view.milliseconds(e["loop_overhead_ms"]),
        "input wait": lambda e: view.percent(e["input_wait_fraction"]),
        "FLOP": lambda e: view.decimal(e["flops"], "FLOP"),
        "bytes": lambda e: view.decimal(e["bytes"], "B"),
        "roofline": lambda e: f"{view.percent(e['roofline_fraction'])} ({e['bound']})",
        "peak memory": lambda e: view.binary(e["peak_memory_bytes"]),
    }
    lines = ["# Training steps", "", _row(columns), _row(["---"] * len(columns))]
    lines += [_row(cell(entry) for cell in columns.values()) for entry in entries]
    sources = dict.fromkeys(
        f"{e['device']}, jax {e['jax_version']}, commit {e['commit']}, {e['date']}, data {e['data']}, "
        f"{e['num_steps']} steps"
        for e in entries
    )
    lines += ["", *(f"Measured on {source}." for source in sources)]
    lines += [f"Not measured: {f['paper']} {f['method']}, exit code {f['exit_code']}." for f in failures]
    return "\n".join([*lines, ""])


def _row(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"
