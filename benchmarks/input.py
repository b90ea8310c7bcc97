"""Patches per second from files to batches: jaxmed, MONAI, nibabel in turns, beside a bare copy.

python -m benchmarks.input --output benchmarks/results/input-cpu

Six volumes of 160 x 192 x 224 whole HU, everything warm: in the page cache, mapped, or decoded into memory.
Each contestant has a process of its own and uses its fastest setting (all are tried and listed); then they
work in turns, and a round gives one rate of each and its ratio to jaxmed's. `copy` moves as many bytes in one
piece from the same files into batches that are used again: what this machine's memory allows. MONAI needs
requirements-peers.txt and is left out where it is not installed.
"""

import argparse
import contextlib
import importlib.util
import json
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import input_work, input_worker
from experiments.verbs import provenance

OURS = "jaxmed, threads"
_MACHINE = ("device", "num_processors", "load_average", "commit", "date")
CONTESTANTS = {
    OURS: "benchmarks.input_work:Jaxmed",
    "jaxmed, tf.data": "benchmarks.input_work:JaxmedTf",
    "MONAI CacheDataset": "benchmarks.input_monai:Monai",
    "nibabel": "benchmarks.input_work:Nibabel",
    "copy": "benchmarks.input_work:Copy",
}


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=[64, 128], help="sides of the patches in voxels")
    add("--batch", type=int, default=4, help="patches per batch, a multiple of 4")
    add("--rounds", type=int, default=5, help="rounds of turns")
    add("--seconds", type=float, default=0.5, help="length of a turn")
    add("--folder", type=Path, help="where the volumes are written and kept; a temporary folder if not given")
    add("--output", type=Path, help="results are written to this path with .json and .md added")
    return parser.parse_args()


@contextlib.contextmanager
def start_all(folder: Path, size: int, batch: int) -> Iterator[dict[str, ProcessPoolExecutor]]:
    """A process for each contestant that is installed, all of which see the same volumes.

    Raises:
        RuntimeError: if one reads other voxels.
    """
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        sides = {}
        for name, builder in CONTESTANTS.items():
            if "MONAI" not in name or importlib.util.find_spec("monai"):
                arguments = (builder, folder, size, batch)
                process = ProcessPoolExecutor(1, context, input_worker.start, arguments)
                sides[name] = stack.enter_context(process)
        digests = {name: side.submit(input_worker.digest).result() for name, side in sides.items()}
        if len(set(digests.values())) > 1:
            raise RuntimeError(f"the contestants read different volumes: {digests}")
        yield sides


def choose(side: ProcessPoolExecutor, seconds: float) -> dict[str, Any]:
    """Tries every setting and leaves the fastest loading."""
    rates, shapes = {}, {}
    for setting in side.submit(input_worker.settings).result():
        shapes[setting] = side.submit(input_worker.open_loader, setting).result()
        rates[setting] = side.submit(input_worker.patches_per_second, seconds).result()
    best = max(rates, key=rates.__getitem__)
    side.submit(input_worker.open_loader, best).result()
    return {"setting": best, "batches": shapes[best], "tried": rates}


def measure(arguments: argparse.Namespace, folder: Path, size: int) -> dict[str, Any]:
    """Rates of all contestants for one size of patches."""
    with start_all(folder, size, arguments.batch) as sides:
        found = {name: choose(side, arguments.seconds) for name, side in sides.items()}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(arguments.rounds):
            for name in list(sides)[:: 1 if number % 2 else -1]:
                turn = sides[name].submit(input_worker.patches_per_second, arguments.seconds)
                rates[name].append(turn.result())
            print(f"{size}^3, round {number}: " + ", ".join(f"{n} {r[-1]:.0f}" for n, r in rates.items()))
    for name, entry in found.items():
        ratios = [ours / other for ours, other in zip(rates[OURS], rates[name], strict=True)]
        entry["patches_per_second"] = rates[name]
        entry["bytes_per_second"] = statistics.median(rates[name]) * size**3 * _itemsize(entry["batches"])
        entry["ratio_of_ours"] = ratios
    return {"size": size, "contestants": found}


def _itemsize(batches: str) -> int:
    return 4 if batches.endswith("float32") else 2


def to_markdown(results: dict[str, Any]) -> str:
    """The tables, one for each size."""
    lines = [
        "# Input: patches per second",
        "",
        ", ".join(f"{name} {results[name]}" for name in _MACHINE) + ".",
        f"{input_work.NUM_VOLUMES} volumes of {' x '.join(map(str, input_work.SHAPE))} int16, warm; batches "
        f"of {results['batch']}; {results['rounds']} rounds, {results['seconds']} s a turn. Median (range). "
        "`copy` is what this machine's memory allows.",
    ]
    for table in results["tables"]:
        lines += ["", f"## {table['size']}^3", ""]
        lines += ["| what | fastest setting | patches/s | GB/s | jaxmed's threads are faster by |"]
        lines += ["|---|---|---|---|---|"]
        for name, entry in table["contestants"].items():
            rates, ratios = entry["patches_per_second"], entry["ratio_of_ours"]
            lines += [
                f"| {name} | {entry['setting']} | {statistics.median(rates):.0f} "
                f"({min(rates):.0f} - {max(rates):.0f}) | {entry['bytes_per_second'] / 1e9:.1f} | "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f}) |"
            ]
        lines += ["", "Settings tried, patches/s in one turn each:", ""]
        lines += [
            f"- {name}: " + "; ".join(f"{setting} {rate:.0f}" for setting, rate in entry["tried"].items())
            for name, entry in table["contestants"].items()
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs the benchmark, prints the tables and writes the files."""
    arguments = parse_arguments()
    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        input_work.write_volumes(folder)
        input_work.mapped_volumes(folder)
        tables = [measure(arguments, folder, size) for size in arguments.sizes]
    settings = {name: getattr(arguments, name) for name in ("batch", "rounds", "seconds")}
    load = round(os.getloadavg()[0], 1)
    machine = {**provenance.describe(), "num_processors": os.cpu_count(), "load_average": load}
    results = {**settings, **machine, "tables": tables}
    text = to_markdown(results)
    print(text)
    if arguments.output:
        arguments.output.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
        arguments.output.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
