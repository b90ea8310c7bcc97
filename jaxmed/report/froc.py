"""FROC curves, and scores against each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxmed.report.pyplot import Figure, plt


def draw_froc(
    curves: Mapping[str, Any],
    points: Mapping[str, tuple[float, float]],
    *,
    max_false_positives: float,
) -> Figure:
    """Draws sensitivity against false positives per case.

    Args:
        curves: by name, what `jaxmed.metrics.detection.average_cases` gives.
        points: single operating points by name, such as those of other papers: false positives per case and
            sensitivity.
        max_false_positives: end of the horizontal axis.
    """
    figure, panel = plt.subplots(figsize=(5.6, 4))
    for name, froc in curves.items():
        panel.plot(froc.false_positives, froc.sensitivity, marker=".", linewidth=1.2, label=name)
    for name, (false_positives, sensitivity) in points.items():
        panel.plot(false_positives, sensitivity, "x", markersize=7, label=name)
    panel.set_xlim(-0.02 * max_false_positives, max_false_positives)
    panel.set_ylim(-0.02, 1.02)
    panel.set_xlabel("false positives per case")
    panel.set_ylabel("sensitivity")
    panel.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def draw_against(quantity: str, measured: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Draws scores in [0, 1] against another one, and the diagonal.

    Args:
        quantity: title of the horizontal axis.
        measured: by name, the scores along the horizontal and the vertical axis.
    """
    figure, panel = plt.subplots(figsize=(4, 4))
    panel.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    for (name, values), mark in zip(measured.items(), "ox+s", strict=False):
        panel.plot(*values, mark, label=name, markersize=6)
    panel.set_xlabel(quantity)
    panel.legend(fontsize=8, frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure
