"""The verb prepare: fills the cache of prepared volumes, ahead of the first run."""

import time
from dataclasses import dataclass
from pathlib import Path

from experiments.contract import Config
from experiments.verbs import papers, runs
from experiments.verbs.options import FaultOptions, RunOptions


@dataclass(frozen=True)
class PrepareOptions:
    """Reads, resamples and stores what a config needs; what is in the cache already is only checked.

    Needs no accelerator: it can run on another machine that shares the disk. A run with the same config, data
    directory and cache directory then starts at once; fields of the config that do not change the volumes,
    such as the method or the learning rate, may differ.
    """

    workdir: Path = Path("runs")
    """Folder for runs and tables."""

    data_dir: Path | None = None
    """Real data; without it the built-in phantom is used."""

    cache_dir: Path | None = None
    """Folder for preprocessed data; <workdir>/cache by default."""

    max_bad_cases: int = 0
    """Training cases that may be left out because they cannot be read; in evaluation, none."""


def prepare(paper: str, preset: str, config: Config, options: PrepareOptions) -> int:
    """Fills the cache and says where it lies and how large it is.

    Raises:
        UserError: if the data directory does not exist.
    """
    cache_dir = options.cache_dir or options.workdir / "cache"
    before, begun = _num_bytes(cache_dir), time.monotonic()
    run_options = RunOptions(
        workdir=options.workdir,
        data_dir=options.data_dir,
        cache_dir=cache_dir,
        faults=FaultOptions(max_bad_cases=options.max_bad_cases),
    )
    name = runs.RunName(paper, preset, config, seed=0)
    data = runs.make_data(papers.find_paper(paper), name, run_options)
    after = _num_bytes(cache_dir)
    print(
        f"{paper} {preset} on {data.name}: {cache_dir} holds {after / 1e6:.1f} MB, "
        f"{(after - before) / 1e6:.1f} MB of it new, {time.monotonic() - begun:.0f} s"
        + (f"; left out: {', '.join(data.bad_cases)}" if data.bad_cases else "")
    )
    return 0


def _num_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
