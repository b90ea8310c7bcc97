"""Figures of what changes from round to round."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxmed.report.pyplot import Figure, plt


def draw_class_counts(counts: Mapping[str, np.ndarray], classes: Sequence[str], quantity: str) -> Figure:
    """Draws stacked bars, a panel per method and a bar per round.

    Args:
        counts: (rounds, classes) by method.
        classes: their names.
        quantity: what is counted, for the vertical axis.
    """
    columns = min(len(counts), 4)
    height = -(-len(counts) // columns)
    size = (max(2.6 * columns, 5), 2.4 * height)
    figure, axes = plt.subplots(height, columns, figsize=size, squeeze=False, sharey=True)
    palette = plt.get_cmap("tab10" if len(classes) > 3 else "Set2")
    for panel in axes.flat[len(counts) :]:
        panel.set_axis_off()
    for panel, (title, found) in zip(axes.flat, counts.items(), strict=False):
        rounds, base = np.arange(1, len(found) + 1), np.zeros(len(found))
        for number, (name, column) in enumerate(zip(classes, found.T, strict=True)):
            panel.bar(rounds, column, 0.7, bottom=base, color=palette(number % 10), label=name)
            base = base + column
        panel.set_title(title, fontsize=8)
        panel.set_xticks(rounds)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes[:, 0]:
        panel.set_ylabel(quantity)
    for panel in axes[-1]:
        panel.set_xlabel("round")
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", ncols=len(names), frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.12 / height))
    return figure


def draw_by_round(values: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draws curves over rounds from 0 on, a panel per quantity and a curve per method.

    Args:
        values: by title of the panel and method, (rounds,).
    """
    figure, axes = plt.subplots(1, len(values), figsize=(5 * len(values), 4), squeeze=False)
    for panel, (title, curves) in zip(axes[0], values.items(), strict=True):
        for number, (name, curve) in enumerate(curves.items()):
            panel.plot(curve, marker="o", markersize=3, color=f"C{number % 10}", label=name)
            panel.set_xticks(range(len(curve)))
        panel.set_title(title)
        panel.set_xlabel("round")
        panel.spines[["top", "right"]].set_visible(False)
    axes[0][-1].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure
