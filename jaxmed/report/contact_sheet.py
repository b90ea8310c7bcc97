"""Contact sheets: many small images in rows."""

from collections.abc import Sequence

import numpy as np

from jaxmed.report.pyplot import Figure, plt

_INCHES = 0.8
"""Width of a place; its longer side is filled by the image up to a margin."""

_FILLED, _ROW = 0.95, 1.15
"""The image's longer side and the height of a row with its title, in widths of a place."""


def draw_rows(rows: Sequence[Sequence[np.ndarray] | np.ndarray], titles: Sequence[str] = ()) -> Figure:
    """Draws rows of images in grey, each image in its own range, rows flush left.

    Args:
        rows: (height, width) images; one or more in the longest row.
        titles: above the first image of each row.
    """
    width = max(map(len, rows))
    # All on one panel: matplotlib needs far longer for hundreds of panels than for their images.
    figure, panel = plt.subplots(figsize=(_INCHES * width, _INCHES * _ROW * len(rows)))
    for number, images in enumerate(rows):
        bottom = top = _ROW * (number + 1)
        for column, image in enumerate(images):
            height, breadth = (_FILLED * size / max(image.shape) for size in image.shape)
            extent = (column, column + breadth, bottom, bottom - height)
            panel.imshow(image, cmap="gray", extent=extent)
            top = min(top, bottom - height)
        if number < len(titles):
            panel.text(0, top, titles[number], fontsize=7, va="bottom")
    panel.set(xlim=(0, width), ylim=(_ROW * len(rows), 0))
    panel.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 1)
    return figure


def draw_classes(
    images: np.ndarray, labels: np.ndarray, classes: Sequence[str] = (), *, max_images: int = 10
) -> Figure:
    """Draws the first images of each class in a row.

    Args:
        images: (images, height, width).
        labels: (images,) their classes, from 0.
        classes: names; numbers where there are none.
        max_images: in a row.
    """
    rows = [images[labels == label][:max_images] for label in range(labels.max() + 1)]
    return draw_rows(rows, classes or [f"class {label}" for label in range(len(rows))])


def draw_groups(
    images: np.ndarray,
    groups: np.ndarray,
    scores: np.ndarray | None = None,
    *,
    max_groups: int = 26,
    max_images: int = 12,
) -> Figure:
    """Draws a row of images for each group with its number and size, the largest groups first.

    Args:
        images: (images, height, width).
        groups: (images,) their groups.
        scores: (images,) the best of a group are shown; without, the ones shown are spread over the group.
        max_groups: rows; a line at the bottom tells how many smaller groups there are.
        max_images: in a row.
    """
    numbers, counts = np.unique(groups, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:max_groups]
    rows = []
    for number in numbers[order]:
        members = np.flatnonzero(groups == number)
        if scores is None:
            chosen = np.unique(np.linspace(0, len(members) - 1, max_images).astype(int))
        else:
            chosen = np.argsort(-scores[members], kind="stable")[:max_images]
        rows.append(images[members[chosen]])
    figure = draw_rows(rows, [f"{numbers[i]}: {counts[i]} images" for i in order])
    if len(numbers) > len(order):
        more = f"and {len(numbers) - len(order)} smaller groups"
        figure.text(0.5, 0, more, ha="center", va="top", fontsize=8)
    return figure
