"""Curves of what was measured again and again in training."""

from collections.abc import Mapping

import numpy as np

from jaxmed.report.pyplot import Figure, plt


def mean_over_spans(steps: np.ndarray, values: np.ndarray, num_spans: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of what was logged step by step, over equal spans of the steps up to the last one.

    Args:
        steps: (lines,) from 1 on, rising.
        values: (lines, quantities).
        num_spans: how many.

    Returns:
        The last step of each span that holds a line, (spans,), and the means, (spans, quantities).
    """
    edges = np.linspace(0, steps[-1], num_spans + 1)
    span = np.searchsorted(edges, steps, side="left")
    found = np.unique(span)
    return edges[found], np.stack([values[span == number].mean(axis=0) for number in found])


def draw_histories(
    histories: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], time: str = "epoch"
) -> Figure:
    """Draws one panel per quantity with a curve for each run.

    Args:
        histories: by run and title of the quantity, the times and the values; all runs have the same titles.
        time: title of the horizontal axes.
    """
    titles = list(next(iter(histories.values())))
    figure, panels = plt.subplots(1, len(titles), figsize=(3.2 * len(titles), 3), squeeze=False)
    for panel, title in zip(panels[0], titles, strict=True):
        for label, quantities in histories.items():
            panel.plot(*quantities[title], label=label, linewidth=1.2, marker=".", markersize=3)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel(time)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0][0].legend(fontsize=8, frameon=False)
    figure.tight_layout()
    return figure
