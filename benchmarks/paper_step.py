"""Measure a paper's training step as the verb bench does, where its command line (tyro) is not installed.

python -m benchmarks.paper_step fbpaug paper --set method=fbpaug dtype=bfloat16 phantom.num_cases=3
"""

import argparse
import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.verbs import bench, papers, runs
from experiments.verbs.errors import UserError, choose
from jaxmed.train import host


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints the table and writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paper")
    parser.add_argument("preset")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="fields of the config")
    parser.add_argument("--steps", type=int, default=30, help="steps that are timed")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args(arguments)
    host.tune_malloc()
    config = papers.find_preset(papers.find_paper(options.paper), options.preset)
    for assignment in options.set:
        field, _, value = assignment.partition("=")
        config = replaced(config, field.split("."), value)
    with tempfile.TemporaryDirectory() as folder:
        where = bench.BenchOptions(workdir=Path(folder), steps=options.steps)
        exit_code = bench.bench(options.paper, options.preset, config, where)
        if options.output:
            name = runs.RunName(options.paper, options.preset, config, where.seed)
            shutil.copy(bench.result_file(name, where), options.output)
    return exit_code


def replaced(config: Any, path: Sequence[str], value: str) -> Any:
    """The config with another value in a field of numbers, truth or text.

    Raises:
        UserError: for an unknown field, or a value that is not of its kind.
    """
    choose("field", path[0], [field.name for field in dataclasses.fields(config)])
    present = getattr(config, path[0])
    if len(path) > 1:
        return dataclasses.replace(config, **{path[0]: replaced(present, path[1:], value)})
    try:
        new = {"True": True, "False": False}[value] if isinstance(present, bool) else type(present)(value)
    except (KeyError, ValueError) as error:
        raise UserError(f"{path[0]}: '{value}'; wanted a {type(present).__name__}") from error
    return dataclasses.replace(config, **{path[0]: new})


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
