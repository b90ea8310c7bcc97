"""The verb train: one run of one config."""

import json
from dataclasses import dataclass

from experiments.contract import Config
from experiments.verbs import judgement, runs
from experiments.verbs.options import RunOptions


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """Trains one config, evaluates it, and writes both into the run's folder."""

    seed: int = 0
    """Seed of everything random."""


def train(paper: str, preset: str, config: Config, options: TrainOptions) -> int:
    """Runs (or resumes, or finds finished) the run and prints its scores."""
    folder = runs.run(runs.RunName(paper, preset, config, options.seed), options)
    result = json.loads((folder / "result.json").read_text())
    for metric in result["scores"]:
        found = judgement.values(result["scores"], metric)
        print(
            f"{metric}: mean {found.mean():.4f}, std {found.std(ddof=min(1, found.size - 1)):.4f}, n {found.size}"
        )
    print(f"written to {folder}")
    return 0
