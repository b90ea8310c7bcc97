"""Carry out experiments/bench_queue.md on a GPU, all in one call, within a given time.

python -m benchmarks.gpu_queue --output gpu-queue.json               at most nine minutes
python -m benchmarks.gpu_queue --only unet-3d radon-forms --seconds 200
python -m benchmarks.gpu_queue --quick                               tiny sizes, on any device

Each item is a command in a process of its own with a limit of time; one that fails or is cut off is recorded
and the next one begins. The file is written after each item, and holds what every item wrote and the end of
what it printed. Runs with JAX and PyTorch, without TensorFlow, nibabel and tyro.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_START_SECONDS = 20.0  # with less left, no item is started
_SHOWN_LINES = 14


@dataclass(frozen=True)
class Item:
    """A measurement.

    Attributes:
        name: on the command line.
        command: after `python -m`; "{out}" stands for the file of its results, "{folder}" for a folder.
        quick: the same at tiny sizes.
        seconds: its limit.
    """

    name: str
    command: str
    quick: str
    seconds: float


ITEMS = (
    Item(
        "unet-3d",
        "benchmarks.run --only unet-3d-large --seconds 8 --no-parts --folder {folder}",
        "benchmarks.run --only radon-scikit-image --quick --folder {folder}",
        150.0,
    ),
    Item(
        "radon-forms",
        "benchmarks.radon_forms --size 512 --batch 32 --angles 512 --output {out}",
        "benchmarks.radon_forms --size 32 --batch 2 --angles 8 --chunks 1 2 --repeats 2 --output {out}",
        60.0,
    ),
    Item(
        "operators",
        "benchmarks.operators --dtype bfloat16 --seconds 0.5 --without-torch --output {out} --only conv-3d "
        "conv-3d-strided depthwise-3d transposed-3d transposed-3d-wide upsample-conv-3d pool-3d "
        "instance-norm-3d",
        "benchmarks.operators --quick --without-torch --only pool-2d --output {out}",
        75.0,
    ),
    Item(
        "kernel-change",
        "benchmarks.radon --size 512 --batch 32 --angles 256 --methods projector fft --output {out}",
        "benchmarks.radon --size 32 --batch 2 --angles 8 --repeats 2 --methods fft --output {out}",
        60.0,
    ),
    Item(
        "fbpaug-step",
        "benchmarks.paper_step fbpaug paper --set method=fbpaug dtype=bfloat16 phantom.num_cases=4 "
        "phantom.num_pairs=1 num_validation=0 --output {out}",
        "benchmarks.paper_step fbpaug tiny --set method=fbpaug dtype=bfloat16 --steps 2 --output {out}",
        75.0,
    ),
    Item(
        "unet-2d",
        "benchmarks.run --only unet-2d-large --seconds 8 --no-parts --folder {folder}",
        "benchmarks.run --only fbpaug-fft --quick --folder {folder}",
        90.0,
    ),
    Item(
        "repeatability",
        "benchmarks.repeatability --output {out}",
        "benchmarks.repeatability --steps 1 --size 16 --processes 1 --output {out}",
        75.0,
    ),
    Item(
        "kernel-change-exact",
        "benchmarks.radon --size 512 --batch 8 --angles 256 --methods exact --repeats 3 --output {out}",
        "benchmarks.radon --size 32 --batch 2 --angles 8 --repeats 2 --methods exact --output {out}",
        45.0,
    ),
    Item(
        "checkpoint-overhead",
        "benchmarks.checkpoint_overhead --repeats 2 --output {out}",
        "benchmarks.checkpoint_overhead --width 16 --every 2 --windows 1 --repeats 1 --output {out}",
        45.0,
    ),
    Item(
        "fidelity",
        "benchmarks.kernel_change --draws 4 --output {folder}/kernel-change",
        "benchmarks.kernel_change --size 32 --angles 8 --draws 1 --output {folder}/kernel-change",
        60.0,
    ),
    Item(
        "steps-time",
        "benchmarks.steps time --rounds 3 --output {out}",
        "benchmarks.steps time --rounds 1 --only perceptron-4 --output {out}",
        60.0,
    ),
    Item(
        "steps-memory",
        "benchmarks.steps memory --output {out}",
        "benchmarks.steps time --rounds 1 --only perceptron-4 --output {out}",
        60.0,
    ),
    Item(
        "tests",
        "pytest -q -o addopts= --import-mode=importlib -x tests/ops tests/models",
        "pytest --version",
        120.0,
    ),
)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [item.name for item in ITEMS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="ITEM", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--seconds", type=float, default=530.0, help="for all items together")
    parser.add_argument("--output", type=Path, default=Path("gpu-queue.json"), help="JSON file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out the queue and prints a table.

    Returns:
        The exit code: 1 if an item is not done.
    """
    options = parse_arguments(arguments)
    end = time.monotonic() + options.seconds
    records: list[dict[str, Any]] = []
    for item in ITEMS:
        if options.only and item.name not in options.only:
            continue
        print(f"{item.name} ...", flush=True)
        records.append(carry_out(item, end - time.monotonic(), quick=options.quick))
        partial = options.output.with_suffix(".partial")
        partial.write_text(json.dumps({"items": records}, indent=1) + "\n")
        partial.rename(options.output)
    print(table(records))
    print(f"written: {options.output}")
    return int(any(record["status"] != "done" for record in records))


def carry_out(item: Item, left: float, *, quick: bool) -> dict[str, Any]:
    """Runs one item.

    Args:
        item: what to run.
        left: seconds of the whole queue that are left.
        quick: at tiny sizes.

    Returns:
        Name, command, status ("done", "failed", "cut off" or "not started"), seconds, the end of the output
        and the results by file name.
    """
    command = item.quick if quick else item.command
    record: dict[str, Any] = {"name": item.name, "command": command, "seconds": 0.0, "results": {}}
    limit = min(item.seconds, left)
    if limit < min(_START_SECONDS, item.seconds):
        return {**record, "status": "not started", "output": f"{left:.0f} s left"}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        filled = command.format(out=f"{folder}/result.json", folder=folder)
        status, output = _run([sys.executable, "-m", *filled.split()], limit)
        for file in sorted(Path(folder).glob("*.json")):
            with contextlib.suppress(ValueError):  # cut off while it was written
                record["results"][file.stem] = json.loads(file.read_text())
    return {**record, "status": status, "seconds": time.monotonic() - begun, "output": output}


def _run(command: list[str], limit: float) -> tuple[str, str]:
    """Status and the end of the output; what is cut off ends with all its processes."""
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = "failed" if process.wait(limit) else "done"
        except subprocess.TimeoutExpired:
            status = "cut off"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        lines = output.read().splitlines()
    return status, "\n".join(lines[-_SHOWN_LINES:])


def table(records: Sequence[dict[str, Any]]) -> str:
    """Status, seconds and the last lines of every item."""
    lines = []
    for record in records:
        lines.append(f"== {record['name']}: {record['status']}, {record['seconds']:.0f} s")
        lines += [f"   {line[:180]}" for line in record["output"].splitlines()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
