"""The verb train: one run of one config."""

from dataclasses import dataclass

from experiments.contract import Config
from experiments.verbs import judgement, runs
from experiments.verbs.options import RunOptions
from jaxmed.train import hosts


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """Trains one config, evaluates it, and writes both into the run's folder."""

    seed: int = 0
    """Seed of everything random."""

    steps: int | None = None
    """Step at which to end instead of the config's num_steps; a run that ended earlier goes on."""


def train(paper: str, preset: str, config: Config, options: TrainOptions) -> int:
    """Runs (or resumes, or finds finished) the run and prints its scores."""
    folder = runs.run(runs.RunName(paper, preset, config, options.seed), options, num_steps=options.steps)
    if not hosts.is_main_process():
        return 0
    scores = runs.read_result(folder)["scores"]
    for metric in scores:
        found = judgement.values(scores, metric)
        spread = f", std {found.std(ddof=1):.4f} over {found.size} cases" if found.size > 1 else ""
        print(f"{metric}: mean {found.mean():.4f}{spread}")
    print(f"written to {folder}")
    return 0
