"""Figures that more than one paper draws."""

from pathlib import Path

import numpy as np

from jaxmed.report.pyplot import Figure, plt
from jaxmed.report.table import TableReport

PAPER_COLOUR, OUR_COLOUR = "0.72", "tab:blue"

_MAX_PANELS = 3  # beside one another


def save(figure: Figure, file: Path) -> Path:
    """Writes `figure` as PNG and closes it."""
    figure.savefig(file, dpi=110, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    return file


def draw_table(report: TableReport) -> Figure:
    """Draws a table as bars, the paper's beside ours, one panel per metric; whiskers are the std."""
    num_columns = min(len(report.metrics), _MAX_PANELS)
    num_lines = -(-len(report.metrics) // num_columns)
    positions = np.arange(len(report.rows))
    size = (num_columns * max(4.2, 0.45 * len(positions)), 3.4 * num_lines)
    figure, axes = plt.subplots(num_lines, num_columns, figsize=size, squeeze=False)
    panels = axes.ravel()
    for unused in panels[len(report.metrics) :]:
        unused.remove()
    for panel, metric in zip(panels, report.metrics, strict=False):
        for shift, source, colour in ((-0.2, "published", PAPER_COLOUR), (0.2, "ours", OUR_COLOUR)):
            cells = [getattr(row, source).get(metric) for row in report.rows]
            means = [np.nan if cell is None else cell.mean for cell in cells]
            spread = [0.0 if cell is None or cell.std is None else cell.std for cell in cells]
            name = "paper" if source == "published" else f"ours ({report.provenance.get('data', '')})"
            panel.bar(positions + shift, means, 0.38, yerr=spread, capsize=2, color=colour, label=name)
        panel.set_xticks(positions, [row.label for row in report.rows], rotation=30, ha="right")
        panel.set_title(metric)
        panel.spines[["top", "right"]].set_visible(False)
    handles, names = panels[0].get_legend_handles_labels()
    figure.tight_layout()
    figure.legend(handles, names, loc="lower center", ncols=2, frameon=False, bbox_to_anchor=(0.5, 1.0))
    return figure
