"""Figures that more than one paper draws."""

from pathlib import Path

import numpy as np

from jaxmed.report.pyplot import Figure, plt
from jaxmed.report.table import TableReport

PAPER_COLOUR, OUR_COLOUR = "0.72", "tab:blue"


def save(figure: Figure, file: Path) -> Path:
    """Writes `figure` as PNG and closes it."""
    figure.savefig(file, dpi=110, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    return file


def draw_table(report: TableReport) -> Figure:
    """Draws a table as bars, the paper's beside ours, one panel per metric; whiskers are the std."""
    num_metrics = len(report.metrics)
    figure, axes = plt.subplots(1, num_metrics, figsize=(4.2 * num_metrics, 3.4), squeeze=False)
    positions = np.arange(len(report.rows))
    for panel, metric in zip(axes[0], report.metrics, strict=True):
        for shift, source, colour in ((-0.2, "published", PAPER_COLOUR), (0.2, "ours", OUR_COLOUR)):
            cells = [getattr(row, source).get(metric) for row in report.rows]
            means = [np.nan if cell is None else cell.mean for cell in cells]
            spread = [0.0 if cell is None or cell.std is None else cell.std for cell in cells]
            name = "paper" if source == "published" else f"ours ({report.provenance.get('data', '')})"
            panel.bar(positions + shift, means, 0.38, yerr=spread, capsize=2, color=colour, label=name)
        panel.set_xticks(positions, [row.label for row in report.rows], rotation=25, ha="right")
        panel.set_title(metric)
        panel.spines[["top", "right"]].set_visible(False)
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", ncols=2, frameon=False, bbox_to_anchor=(0.5, 1.06))
    figure.tight_layout()
    return figure
