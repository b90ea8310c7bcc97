"""Compare jaxmed with the libraries that people use, side by side on this machine.

python -m benchmarks.run                       everything that this machine can, about half an hour
python -m benchmarks.run --only unet-3d fft    some; results join those of the same day
python -m benchmarks.run --quick               small sizes, to see that all runs; in runs/benchmarks
python -m benchmarks.run --list                what there is

Needs requirements-peers.txt. Results: benchmarks/results/<device>-<date>.json, .md and .png.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.peers import pairing, worker
from benchmarks.peers.cases import CASES, Case

_ROOT = Path(__file__).parents[1]
_INSTALL = "pip install -r requirements-peers.txt"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [case.name for case in CASES]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="these comparisons")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    parser.add_argument("--threads", type=int, help="of each side; 2 on a CPU, all on a GPU")
    parser.add_argument("--seconds", type=float, help="of alternation for each comparison")
    parser.add_argument("--no-parts", action="store_true", help="leave out the times of parts of the work")
    parser.add_argument("--folder", type=Path, help="for the results")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the comparisons and writes the results after each.

    Returns:
        The exit code: 1 if something could not be compared.
    """
    options = parse_arguments(arguments)
    if options.list:
        for case in CASES:
            print(f"{case.name:<22} {case.title}, against {case.peer}")
        return 0
    machine = _ask_for_machine()
    platform = machine.pop("platform")
    threads = options.threads or (2 if platform == "cpu" else None)
    chosen = [
        case
        for case in CASES
        if (case.name in options.only if options.only else case.platform in (None, platform))
    ]
    folder = options.folder or _ROOT / ("runs/benchmarks" if options.quick else "benchmarks/results")
    stem = folder / f"{device_name(machine['device'])}-{machine['date']}"
    failed = False
    for number, case in enumerate(chosen, start=1):
        print(f"{number}/{len(chosen)} {case.name}: {case.title}", flush=True)
        entry = _carry_out(case, options, threads) | machine
        failed |= "error" in entry
        print(f"    {_one_line(entry)}", flush=True)
        save(stem, entry)
    print(f"written: {stem}.json, .md and .png")
    return int(failed)


def device_name(device: str) -> str:
    """For a file: '1 x cpu (AMD EPYC)' becomes 'cpu-amd-epyc'."""
    plain = re.sub(r"\((r|tm)\)|^\d+ x ", "", device.lower())
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _ask_for_machine() -> dict[str, Any]:
    """Device, commit, date: asked in another process, since this one shall not use the device."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(worker.describe_machine).result()


def _carry_out(case: Case, options: argparse.Namespace, threads: int | None) -> dict[str, Any]:
    about = {"name": case.name, "title": case.title, "peer": case.peer, "max_ratio": case.max_ratio}
    about |= {"quick": options.quick, "load_average": os.getloadavg()[0]}
    missing = [name for name in case.packages if importlib.util.find_spec(name) is None]
    if missing:
        return {**about, "error": f"needs {', '.join(missing)}, not installed here: {_INSTALL}"}
    effort = pairing.QUICK if options.quick else pairing.Effort()
    if options.seconds:
        effort = effort._replace(seconds=options.seconds)
    if options.no_parts:
        effort = effort._replace(part_rounds=0)
    begun = time.perf_counter()
    try:
        found = pairing.compare(case, effort, quick=options.quick, threads=threads)
    except Exception as error:  # one comparison that fails must not end the others
        return {**about, "error": f"{type(error).__name__}: {str(error).strip()[:600]}"}
    return {**about, **found, "took_seconds": time.perf_counter() - begun}


def _one_line(entry: dict[str, Any]) -> str:
    if "error" in entry:
        return entry["error"]
    ratio = entry["ratio"]
    return (
        f"{report.factor(ratio['median'])} [{ratio['min']:.3g} - {ratio['max']:.3g}] "
        f"of {entry['peer']}'s time ({entry['chosen']['theirs']}) {report.verdict(entry)}"
    )


def save(stem: Path, entry: dict[str, Any]) -> None:
    """Puts a comparison into the files of its device and day, in place of an earlier one of its name."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    file = stem.with_suffix(".json")
    kept = json.loads(file.read_text())["comparisons"] if file.exists() else []
    by_name = {e["name"]: e for e in kept} | {entry["name"]: entry}
    entries = [by_name.pop(case.name) for case in CASES if case.name in by_name] + list(by_name.values())
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({"comparisons": entries}, indent=1) + "\n")
    partial.rename(file)
    failures = [e for e in entries if "error" in e]
    report.write(stem, [e for e in entries if "error" not in e], failures)


if __name__ == "__main__":
    sys.exit(main())
