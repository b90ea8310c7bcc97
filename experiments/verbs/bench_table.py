"""The measurement of a training step as a table for the terminal."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

Numbers = Mapping[str, Any]
"""The content of a bench file: quantities by name."""

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_BINARY = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def milliseconds(value: float) -> str:
    """Such as '12.3 ms'."""
    return f"{value:.3g} ms" if abs(value) < 1000 else f"{value / 1e3:.3g} s"


def seconds(value: float | None) -> str:
    """Such as '1.23 s'; a dash for None."""
    return "-" if value is None else f"{value:.3g} s"


def decimal(value: float, unit: str) -> str:
    """With a prefix for powers of 1000, such as '3.21 GFLOP/s'."""
    scale, prefix = next(((s, p) for s, p in _PREFIXES if abs(value) >= s), (1.0, ""))
    return f"{value / scale:.3g} {prefix}{unit}"


def binary(value: float | None) -> str:
    """Of bytes in memory, such as '1.5 GiB'; a dash for None."""
    if value is None:
        return "-"
    scale, unit = next(((s, u) for s, u in _BINARY if abs(value) >= s), (1, "B"))
    return f"{value / scale:.3g} {unit}"


def percent(value: float) -> str:
    """Such as '12.3 %'."""
    return f"{100 * value:.3g} %" if math.isfinite(value) else "-"


_Lines = list[tuple[str, str, str]]


def _start(n: Numbers) -> _Lines:
    return [
        ("trace and lower", seconds(n["trace_seconds"]), "Python"),
        ("compile", seconds(n["compile_seconds"]), "nothing cached"),
        ("compile again", seconds(n["cached_compile_seconds"]), "from the persistent cache"),
    ]


def _step(n: Numbers) -> _Lines:
    spread = f"p10 {milliseconds(n['step_ms_p10'])}, p90 {milliseconds(n['step_ms_p90'])}"
    return [
        ("step", milliseconds(n["step_ms"]), f"median of {n['num_steps']}; {spread}"),
        ("examples", f"{n['examples_per_second']:.4g} /s", f"batch of {n['batch_size']}"),
        ("dispatch", milliseconds(n["dispatch_ms"]), "until the call returns"),
    ]


def _loop(n: Numbers) -> _Lines:
    return [
        ("step in the loop", milliseconds(n["loop_ms"]), "median, input at hand"),
        ("overhead", milliseconds(n["loop_overhead_ms"]), "above the step alone"),
        ("with real input", milliseconds(n["input_loop_ms"]), f"mean; {n['input_slowdown']:.3g} x without"),
        ("waiting for input", percent(n["input_wait_fraction"]), "of the loop's time"),
    ]


def _arithmetic(n: Numbers) -> _Lines:
    unknown = n["num_unknown_loops"]
    note = f"; {unknown} loop(s) of unknown length counted once" if unknown else ""
    peak = f"{n['peak_matmul_size']}^2 product in {n['peak_dtype']}, {n['peak_precision']} precision"
    return [
        ("arithmetic", decimal(n["flops"], "FLOP"), f"by the {n['flops_counted_by']}{note}"),
        ("achieved", decimal(n["achieved_flops_per_second"], "FLOP/s"), ""),
        ("ceiling", decimal(n["peak_flops_per_second"], "FLOP/s"), peak),
        ("traffic", decimal(n["bytes"], "B"), "operands and results of all operations"),
        ("achieved", decimal(n["achieved_bytes_per_second"], "B/s"), ""),
        ("ceiling", decimal(n["peak_bytes_per_second"], "B/s"), f"arrays of {binary(n['peak_copy_bytes'])}"),
    ]


def _roofline(n: Numbers) -> _Lines:
    balance = f"machine: {n['balance_intensity']:.3g}"
    return [
        ("intensity", f"{n['arithmetic_intensity']:.3g} FLOP/B", balance),
        ("attainable", milliseconds(n["attainable_ms"]), f"bound by {n['bound']}"),
        ("roofline fraction", percent(n["roofline_fraction"]), "attainable / measured step"),
    ]


def _memory(n: Numbers) -> _Lines:
    held = f"state and batch {binary(n['argument_bytes'])}, temporaries {binary(n['temporary_bytes'])}"
    return [
        ("planned peak", binary(n["peak_memory_bytes"]), held),
        ("peak of the process", binary(n["device_peak_bytes"]), f"of {binary(n['device_limit_bytes'])}"),
    ]


_GROUPS: tuple[tuple[str, Callable[[Numbers], _Lines]], ...] = (
    ("Start", _start),
    ("Step", _step),
    ("Training loop", _loop),
    ("On one device", _arithmetic),
    ("Roofline", _roofline),
    ("Memory of one device", _memory),
)


def show(numbers: Numbers) -> None:
    """Prints a measurement, its quantities in groups."""
    grid = RichTable(show_header=False, title=escape(f"{numbers['paper']} {numbers['label']}"))
    for title, make_lines in _GROUPS:
        grid.add_section()
        grid.add_row(f"[bold]{title}[/bold]", "", "")
        for line in make_lines(numbers):
            grid.add_row(*map(escape, line))
    console = Console()
    console.print(grid)
    mesh = " x ".join(f"{name} {size}" for name, size in numbers["mesh"].items())
    source = f"{numbers['device']}, mesh {mesh}, jax {numbers['jax_version']}, data {numbers['data']}"
    console.print(f"{source}, commit {numbers['commit']}, {numbers['date']}", markup=False)
