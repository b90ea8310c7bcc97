"""The verb sample: pictures of what a paper's method does."""

from dataclasses import dataclass
from pathlib import Path

from experiments.contract import Config
from experiments.verbs import errors, papers, runs


@dataclass(frozen=True)
class SampleOptions:
    """Draws pictures from a run, or from the preset's config where no run is needed."""

    run: Path | None = None
    """Folder of a run (.../seed0)."""

    input: Path | None = None
    """An image or a folder to draw from, where the paper's pictures start from data."""

    output_dir: Path = Path("samples")
    """Folder for the pictures."""


def sample(paper: str, config: Config, options: SampleOptions) -> int:
    """Writes the pictures and prints their paths.

    Raises:
        UserError: if the paper draws none, or the run belongs to another paper.
    """
    experiment = papers.find_paper(paper)
    if experiment.sample is None:
        raise errors.UserError(f"{paper} draws no samples")
    state = None
    if options.run is not None:
        _, name, state = runs.load(options.run)
        require_same_paper(paper, name, options.run)
        config = name.config
    options.output_dir.mkdir(parents=True, exist_ok=True)
    for file in experiment.sample(config, state, options.input, options.output_dir):
        print(file)
    return 0


def require_same_paper(paper: str, name: runs.RunName, folder: Path) -> None:
    """Refuses a run of another paper."""
    if name.paper != paper:
        raise errors.UserError(f"{folder} is a run of {name.paper}, not of {paper}")
