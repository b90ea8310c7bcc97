"""The verb check-data: reads every file of a data directory and reports what is there and what is wrong."""

from dataclasses import dataclass
from pathlib import Path

from experiments.contract import Config
from experiments.verbs import errors, papers


@dataclass(frozen=True)
class CheckDataOptions:
    """Reads every case of a data directory; exit code 1 if anything is wrong with it."""

    data_dir: Path
    """The folder to check."""


def check_data(paper: str, config: Config, options: CheckDataOptions) -> int:
    """Prints the report.

    Raises:
        UserError: if the folder does not exist or the paper reads no files.
    """
    experiment = papers.find_paper(paper)
    if experiment.check_data is None:
        raise errors.UserError(f"{paper} reads no real data")
    if not options.data_dir.is_dir():
        raise errors.UserError(f"--data-dir {options.data_dir} is not a folder")
    report, num_problems = experiment.check_data(config, options.data_dir)
    print(report)
    return 1 if num_problems else 0
