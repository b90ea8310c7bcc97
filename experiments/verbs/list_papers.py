"""The verb list: the papers, their presets, methods and tables."""

import typing

from rich.console import Console
from rich.table import Table as RichTable

from experiments.contract import Experiment
from experiments.verbs import papers


def methods(experiment: Experiment) -> tuple[str, ...]:
    """The methods that a paper's config can choose between; none where it has no such field."""
    if experiment.method_field is None:
        return ()
    hints = typing.get_type_hints(type(next(iter(experiment.presets.values()))))
    return typing.get_args(hints[experiment.method_field])


def list_papers() -> int:
    """Prints one line per paper."""
    grid = RichTable("paper", "title", "presets", "methods", "tables")
    for name in papers.paper_names():
        experiment = papers.find_paper(name)
        columns = (experiment.presets, methods(experiment), experiment.tables)
        grid.add_row(name, experiment.title, *(" ".join(column) for column in columns))
    Console().print(grid)
    return 0
