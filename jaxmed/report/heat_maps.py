"""Values over a grid of two settings, as coloured cells with their numbers."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxmed.report.pyplot import Figure, plt

_BRIGHT = 0.55


def draw_heat_maps(
    panels: Mapping[str, np.ndarray],
    rows: Sequence[str | int],
    columns: Sequence[str | int],
    *,
    num_columns: int,
    axes: tuple[str, str],
    shared: Sequence[Sequence[str]] = (),
) -> Figure:
    """Draws heat maps side by side, each in its own range of colours.

    Args:
        panels: (rows, columns) by title; NaN is left blank.
        rows: names of the rows.
        columns: names of the columns.
        num_columns: panels in a row.
        axes: what the rows and what the columns are.
        shared: groups of titles that have one range of colours.
    """
    height = -(-len(panels) // num_columns)
    size = ((1.2 + 0.75 * len(columns)) * num_columns, (1.1 + 0.5 * len(rows)) * height)
    figure, places = plt.subplots(height, num_columns, figsize=size, squeeze=False)
    for panel in places.flat[len(panels) :]:
        panel.set_axis_off()
    for panel, (title, values) in zip(places.flat, panels.items(), strict=False):
        group = next((group for group in shared if title in group), (title,))
        finite = np.concatenate([panels[name][np.isfinite(panels[name])] for name in group])
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
        span = high - low if high > low else 1.0
        panel.imshow(values, cmap="viridis", vmin=low, vmax=low + span, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = "black" if (value - low) / span > _BRIGHT else "white"
                panel.text(column, row, _format(value), ha="center", va="center", color=colour, fontsize=8)
        panel.set_xticks(range(len(columns)), columns)
        panel.set_yticks(range(len(rows)), rows)
        panel.set_title(title, fontsize=9)
        panel.set_ylabel(axes[0])
        panel.set_xlabel(axes[1])
    figure.tight_layout()
    return figure


def _format(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}"
