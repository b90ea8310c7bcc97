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
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.peers import pairing, worker
from benchmarks.peers.cases import CASES, PROGRAMS, Case, Program

_ROOT = Path(__file__).parents[1]
_INSTALL = "pip install -r requirements-peers.txt"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [work.name for work in (*CASES, *PROGRAMS)]
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
        for program in PROGRAMS:
            print(f"{program.name:<22} {program.title}")
        return 0
    machine = _ask_for_machine()
    platform = machine.pop("platform")
    threads = options.threads or (2 if platform == "cpu" else None)
    every = (*CASES, *PROGRAMS)
    fitting = [work.name for work in every if work.platform in (None, platform)]
    chosen = [work for work in every if work.name in (options.only or fitting)]
    folder = options.folder or _ROOT / ("runs/benchmarks" if options.quick else "benchmarks/results")
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{device_name(machine['device'])}-{machine['date']}"
    failed = False
    for number, work in enumerate(chosen, start=1):
        print(f"{number}/{len(chosen)} {work.name}: {work.title}", flush=True)
        if isinstance(work, Program):
            entry = _run_program(work, stem, quick=options.quick)
        else:
            entry = _compare(work, options, threads)
            print(f"    {_one_line(entry)}", flush=True)
        failed |= "error" in entry
        save(stem, entry | machine)
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


def _compare(case: Case, options: argparse.Namespace, threads: int | None) -> dict[str, Any]:
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


def _run_program(program: Program, stem: Path, *, quick: bool) -> dict[str, Any]:
    """Runs it in a process of its own; its results lie beside the others and are named in the report."""
    results = stem.with_name(f"{program.name}-{stem.name}")
    arguments = (program.quick if quick else program.command).format(stem=results).split()
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    exit_code = subprocess.run([sys.executable, "-m", *arguments], env=environment).returncode
    entry = {"name": program.name, "title": program.title, "program": f"{results.name}.md"}
    return entry | ({"error": f"exit code {exit_code}"} if exit_code else {})


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
    file = stem.with_suffix(".json")
    kept = json.loads(file.read_text())["comparisons"] if file.exists() else []
    by_name = {e["name"]: e for e in kept} | {entry["name"]: entry}
    order = [work.name for work in (*CASES, *PROGRAMS) if work.name in by_name]
    entries = [by_name.pop(name) for name in order] + list(by_name.values())
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({"comparisons": entries}, indent=1) + "\n")
    partial.rename(file)
    report.write(stem, entries)


if __name__ == "__main__":
    sys.exit(main())
