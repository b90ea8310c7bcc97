"""Pictures of slices beside their label maps."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxmed.report.pyplot import Figure, plt


class LabelledSlices(NamedTuple):
    """A row of the picture.

    Attributes:
        slices: (height, width) by title, such as the sequences of one subject.
        labels: (height, width) whole numbers; 0 is the background.
        classes: names of the labels.
    """

    slices: Mapping[str, np.ndarray]
    labels: np.ndarray
    classes: Mapping[int, str]


def draw_labelled_slices(rows: Sequence[LabelledSlices], window: tuple[float, float]) -> Figure:
    """Draws slices in grey and their labels in colours, the same for the same label in every row.

    Args:
        rows: from the top.
        window: values shown as black and as white.
    """
    columns = 1 + max(len(row.slices) for row in rows)
    figure, panels = plt.subplots(len(rows), columns, figsize=(3 * columns, 3.3 * len(rows)), squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    for line, row in zip(panels, rows, strict=True):
        for panel, (title, image) in zip(line, row.slices.items(), strict=False):
            panel.imshow(image, cmap="gray", vmin=window[0], vmax=window[1])
            panel.set_title(title, fontsize=9)
        shown = np.ma.masked_equal(row.labels, 0)
        line[-1].imshow(np.zeros(row.labels.shape), cmap="gray", vmin=0, vmax=1)
        line[-1].imshow(shown - 1, cmap="tab10", vmin=0, vmax=9, interpolation="nearest")
        line[-1].set_title(", ".join(f"{n} {name}" for n, name in row.classes.items()), fontsize=9)
    figure.tight_layout()
    return figure
