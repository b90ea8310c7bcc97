"""Finds papers by the names of their folders."""

import importlib
from pathlib import Path

import experiments
from experiments.contract import Config, Experiment
from experiments.verbs import errors

_ROOT = Path(experiments.__path__[0])


def paper_names() -> list[str]:
    """The folders of experiments that hold a paper, in alphabetical order."""
    return sorted(path.parent.name for path in _ROOT.glob("*/config.py"))


def find_paper(name: str) -> Experiment:
    """Imports the paper `name`.

    Raises:
        UserError: if there is no such paper.
    """
    return importlib.import_module(f"experiments.{errors.choose('paper', name, paper_names())}").EXPERIMENT


def find_preset(experiment: Experiment, name: str) -> Config:
    """The config called `name`.

    Raises:
        UserError: if the paper has no such preset.
    """
    return experiment.presets[errors.choose("preset", name, experiment.presets)]
