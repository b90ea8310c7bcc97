"""Time every operator of jaxmed.ops against the plain form in lax or flax, and PyTorch where it is installed.

python -m benchmarks.operators --output benchmarks/results/operators-cpu     all, about ten minutes
python -m benchmarks.operators --only conv-3d conv-3d-strided pool-3d        some
python -m benchmarks.operators --quick                                       tiny sizes: does all run?

Each line is one operator, forward and backward to all of its arguments. Its forms run in turns in one
process, so that a busy machine meets all alike; the table gives medians of the ratios to the plain form
within a round, with the least and the largest. "ours" is what the library takes on this backend; the other
forms are there to decide what it should take: on a GPU the same command compares native volumes with stacked
taps, phases with dilation, and pooling by reshape with reduction windows. Before the timing, values and
gradients are compared; the largest difference is given relative to the largest element.

differs: PyTorch runs on channels-last images and channels-first volumes, its faster layouts.
"""

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # PyTorch's idle threads shall not take time from XLA's

import jax
import numpy as np

from benchmarks.operator_cases import CASES, PLAIN, Case
from experiments.verbs import provenance
from jaxmed.train import host

_WARM_UP, _MIN_ROUNDS = 1, 3

Step = Callable[[], Any]


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [case.name for case in CASES]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--seconds", type=float, default=3.0, help="of alternation for each operator")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="of all arrays")
    parser.add_argument("--without-torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--plain-malloc", action="store_true", help="leave the C library's settings alone")
    parser.add_argument("--output", type=Path, help="path of the results, without .json and .md")
    return parser.parse_args(arguments)


def make_arrays(case: Case, quick: bool, dtype: str) -> list[jax.Array]:
    """Noise in the shapes of the case."""
    rng = np.random.default_rng(0)
    shapes = case.quick if quick else case.shapes
    return [jax.numpy.asarray(rng.standard_normal(shape, np.float32), dtype) for shape in shapes]


def make_step(form: Callable, arrays: list[jax.Array]) -> tuple[Step, Step]:
    """Forward and backward, compiled: what to time, and what returns the results as NumPy arrays."""
    y = jax.eval_shape(form, *arrays)
    cotangent = jax.numpy.asarray(np.random.default_rng(1).standard_normal(y.shape, np.float32), y.dtype)

    @jax.jit
    def evaluate(cotangent, *arrays):
        y, vjp = jax.vjp(form, *arrays)
        return y, *vjp(cotangent)

    compiled = evaluate.lower(cotangent, *arrays).compile()

    def results():
        return [np.asarray(part, np.float64) for part in compiled(cotangent, *arrays)]

    return lambda: jax.block_until_ready(compiled(cotangent, *arrays)), results


def make_torch_step(case: Case, arrays: list[jax.Array], dtype: str) -> Step:
    """The same in PyTorch, on the same kind of device."""
    import torch

    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    if device == "cpu":
        torch.set_num_threads(os.cpu_count() or 1)
    tensors = []
    for position, array in enumerate(arrays):
        tensor = torch.from_numpy(np.array(array, np.float32)).to(device, getattr(torch, dtype))
        if position == 0:
            tensor = tensor.movedim(-1, 1)
            tensor = tensor.contiguous() if tensor.ndim == 5 else tensor
        else:
            tensor = case.torch_kernel(tensor)
        tensors.append(tensor.requires_grad_())
    y = case.torch(torch.nn.functional, *tensors)
    cotangent = torch.randn(y.shape, device=device, dtype=y.dtype)

    def step():
        gradients = torch.autograd.grad(case.torch(torch.nn.functional, *tensors), tensors, cotangent)
        if device == "cuda":
            torch.cuda.synchronize()
        return gradients

    return step


def largest_difference(found: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """Of results, each relative to its largest element."""
    return max(
        float(np.abs(mine - one).max() / np.abs(one).max()) for mine, one in zip(found, wanted, strict=True)
    )


def alternate(steps: Mapping[str, Step], seconds: float) -> dict[str, list[float]]:
    """Milliseconds of every form in each round."""
    for step in steps.values():
        for _ in range(_WARM_UP):
            step()
    taken: dict[str, list[float]] = {name: [] for name in steps}
    begun = time.perf_counter()
    while len(taken[PLAIN]) < _MIN_ROUNDS or time.perf_counter() - begun < seconds:
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            taken[name].append(1e3 * (time.perf_counter() - start))
    return taken


def summarise(taken: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median time of every form, and its ratio to the plain one within a round."""
    plain = np.asarray(taken[PLAIN])
    summary = {}
    for name, times in taken.items():
        ratios = np.asarray(times) / plain
        summary[name] = {
            "median_ms": float(np.median(times)),
            "ratio": float(np.median(ratios)),
            "ratio_min": float(ratios.min()),
            "ratio_max": float(ratios.max()),
        }
    return summary


def measure(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """Compares, then times, the forms of one operator."""
    arrays = make_arrays(case, arguments.quick, arguments.dtype)
    steps, results = {}, {}
    for name, form in case.forms.items():
        steps[name], evaluate = make_step(form, arrays)
        results[name] = evaluate()
    differences = {name: largest_difference(found, results[PLAIN]) for name, found in results.items()}
    with_torch = case.torch and not arguments.without_torch and importlib.util.find_spec("torch")
    if with_torch:
        steps["torch"] = make_torch_step(case, arrays, arguments.dtype)
    seconds = 0.1 if arguments.quick else arguments.seconds
    taken = alternate(steps, seconds)
    return {
        "name": case.name,
        "title": case.title,
        "rounds": len(taken[PLAIN]),
        "forms": summarise(taken),
        "differences": differences,
    }


HEADER = """\
| operator | ours / plain | other forms / plain | ours / PyTorch | plain, ms | difference |
|---|---|---|---|---|---|"""


def format_row(entry: dict[str, Any]) -> str:
    """One line of the Markdown table."""
    forms = entry["forms"]
    others = [
        f"{name} {_spread(form)}" for name, form in forms.items() if name not in ("ours", PLAIN, "torch")
    ]
    torch = f"{forms['ours']['median_ms'] / forms['torch']['median_ms']:.2f}" if "torch" in forms else ""
    cells = [
        entry["title"],
        _spread(forms["ours"]),
        "; ".join(others),
        torch,
        f"{forms[PLAIN]['median_ms']:.1f}",
        f"{entry['differences']['ours']:.0e}",
    ]
    return f"| {' | '.join(cells)} |"


def _spread(form: Mapping[str, float]) -> str:
    return f"{form['ratio']:.3g} [{form['ratio_min']:.2g} - {form['ratio_max']:.2g}]"


def main(command_line: Sequence[str] | None = None) -> None:
    """Runs the benchmark, prints the table and writes the files."""
    arguments = parse_arguments(command_line)
    if not arguments.plain_malloc:
        host.tune_malloc()
    machine = {**provenance.describe(), "num_processors": os.cpu_count()}
    print(HEADER, flush=True)
    entries = []
    for case in CASES:
        if arguments.only and case.name not in arguments.only:
            continue
        entries.append(measure(case, arguments))
        print(format_row(entries[-1]), flush=True)
        if arguments.output:
            _write(arguments, machine, entries)


def _write(arguments: argparse.Namespace, machine: dict, entries: list[dict]) -> None:
    """Writes the results, those of operators measured earlier kept."""
    file = arguments.output.with_suffix(".json")
    kept = json.loads(file.read_text())["operators"] if file.exists() else []
    by_name = {entry["name"]: entry for entry in kept} | {
        entry["name"]: entry | {"dtype": arguments.dtype, **machine} for entry in entries
    }
    ordered = [by_name[case.name] for case in CASES if case.name in by_name]
    file.write_text(json.dumps({"operators": ordered}, indent=1) + "\n")
    places = {", ".join(f"{name} {entry[name]}" for name in ("dtype", *machine)): None for entry in ordered}
    lines = ["# Operators, forward and backward", "", "\n\n".join(places), "", HEADER]
    file.with_suffix(".md").write_text("\n".join([*lines, *map(format_row, ordered)]) + "\n")


if __name__ == "__main__":
    main()
