"""Values over a grid of two settings, as coloured cells with their numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxmed.report.pyplot import Figure, plt

_BRIGHT = 0.55


Values = Mapping[tuple[Any, Any], float]
"""By setting of the row and of the column."""


def draw_heat_maps(
    panels: Mapping[str, Values],
    *,
    num_columns: int,
    axes: tuple[str, str],
    shared: Sequence[Sequence[str]] = (),
) -> Figure:
    """Draws heat maps side by side, each in its own range of colours.

    Args:
        panels: values by title, all over the same grid, whose rows and columns come in the order in which the
            first panel names them; NaN, and what is not there, is left blank.
        num_columns: panels in a row.
        axes: what the rows and what the columns are.
        shared: groups of titles that have one range of colours.
    """
    first = next(iter(panels.values()))
    rows, columns = (list(dict.fromkeys(cell[axis] for cell in first)) for axis in (0, 1))
    arrays = {
        title: np.array([[values.get((row, column), np.nan) for column in columns] for row in rows])
        for title, values in panels.items()
    }
    height = -(-len(panels) // num_columns)
    size = ((1.2 + 0.75 * len(columns)) * num_columns, (1.1 + 0.5 * len(rows)) * height)
    figure, places = plt.subplots(height, num_columns, figsize=size, squeeze=False)
    for panel in places.flat[len(panels) :]:
        panel.set_axis_off()
    for panel, (title, values) in zip(places.flat, arrays.items(), strict=False):
        group = next((group for group in shared if title in group), (title,))
        finite = np.concatenate([arrays[name][np.isfinite(arrays[name])] for name in group])
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
