"""Pictures of slices, contours and agreement."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxmed.report.pyplot import Figure, plt

METHOD_COLOURS = ("tab:red", "tab:blue", "tab:green")

CONTOUR_STYLES = (("red", "dashed"), ("deepskyblue", "solid"), ("gold", "dotted"))


def draw_slices(slices: Mapping[str, np.ndarray], num_columns: int, window: tuple[float, float]) -> Figure:
    """Draws slices in grey, each under its title.

    Args:
        slices: (height, width) by title.
        num_columns: pictures in a row.
        window: values shown as black and as white.
    """
    num_rows = -(-len(slices) // num_columns)
    size = (3 * num_columns, 3.2 * num_rows)
    figure, axes = plt.subplots(num_rows, num_columns, figsize=size, squeeze=False)
    for panel in axes.flat:
        panel.set_axis_off()
    for panel, (title, image) in zip(axes.flat, slices.items(), strict=False):
        panel.imshow(image, cmap="gray", vmin=window[0], vmax=window[1])
        panel.set_title(title, fontsize=9)
    figure.tight_layout()
    return figure


def tile_rows(rows: Sequence[np.ndarray], num_columns: int) -> np.ndarray:
    """Joins images to one.

    Args:
        rows: of each row its images, (images, height, width).
        num_columns: images in a row; fewer where a row has fewer.

    Returns:
        (rows * height, columns * width).
    """
    count = min(num_columns, *(len(one) for one in rows))
    return np.concatenate([np.concatenate(list(one[:count]), axis=1) for one in rows])


def draw_sparse(images: np.ndarray, labels: np.ndarray, unknown: int, window: tuple[float, float]) -> Figure:
    """Draws images and, below them, their sparse annotation: background grey, foreground white.

    Args:
        images: (images, height, width).
        labels: the same shape; 0, 1, or `unknown`, which is black.
        unknown: label of what nobody has annotated.
        window: values of the images shown as black and as white.
    """
    low, high = window
    panels = {f"image {k}": image for k, image in enumerate(images, 1)}
    for k, label in enumerate(labels, 1):
        known = label != unknown
        shown = np.where(label > 0, high, (low + high) / 2)
        panels[f"{k}: {known.sum()} annotated pixels"] = np.where(known, shown, low)
    return draw_slices(panels, len(images), window)


def draw_bland_altman(points: Mapping[str, Any], quantity: str, difference: str) -> Figure:
    """Draws differences of paired measurements against their means, with bias and limits of agreement.

    Args:
        points: by method (up to three), what `jaxmed.metrics.agreement.bland_altman` gives.
        quantity: title of the horizontal axis, with its unit.
        difference: title of the vertical axis, such as "first - second, ml".
    """
    figure, panel = plt.subplots(figsize=(6, 4))
    for number, (method, found) in enumerate(points.items()):
        colour = METHOD_COLOURS[number]
        label = f"{method}: bias {found.bias:.1f}, limits {found.lower:.1f} to {found.upper:.1f}"
        panel.scatter(found.mean, found.difference, s=14, color=colour, alpha=0.7, label=label)
        panel.axhline(found.bias, color=colour, linewidth=1)
        for limit in (found.lower, found.upper):
            panel.axhline(limit, color=colour, linewidth=1, linestyle="--")
    panel.set_xlabel(quantity)
    panel.set_ylabel(difference)
    panel.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def draw_busiest_slices(
    volumes: Mapping[str, np.ndarray],
    masks: Mapping[str, Sequence[np.ndarray]],
    window: tuple[float, float],
) -> Figure:
    """Draws of each volume the slice with the most voxels in the first mask, with the outlines of all masks.

    Args:
        volumes: (depth, height, width) by title.
        masks: by legend, one mask per volume; up to three legends.
        window: values shown as black and as white.
    """
    first = next(iter(masks.values()))
    busiest = [int(np.count_nonzero(mask, axis=(1, 2)).argmax()) for mask in first]
    images = {
        f"{title}, slice {index}": volume[index]
        for (title, volume), index in zip(volumes.items(), busiest, strict=True)
    }
    outlines = {
        legend: [mask[index] > 0 for mask, index in zip(found, busiest, strict=True)]
        for legend, found in masks.items()
    }
    return draw_contours(images, outlines, window)


def draw_contours(
    images: Mapping[str, np.ndarray],
    masks: Mapping[str, Sequence[np.ndarray]],
    window: tuple[float, float],
) -> Figure:
    """Draws slices side by side with the outlines of masks.

    Args:
        images: (height, width) by title.
        masks: by legend, one mask per image; up to three legends.
        window: values shown as black and as white.
    """
    figure, panels = plt.subplots(1, len(images), figsize=(4 * len(images), 4.4), squeeze=False)
    for column, (panel, (title, image)) in enumerate(zip(panels[0], images.items(), strict=True)):
        panel.imshow(image, cmap="gray", vmin=window[0], vmax=window[1])
        panel.set_title(title)
        panel.set_axis_off()
        for (colour, line), (legend, found) in zip(CONTOUR_STYLES, masks.items(), strict=False):
            if found[column].any():
                panel.contour(found[column], levels=[0.5], colors=colour, linestyles=line, linewidths=1.2)
            panel.plot([], [], color=colour, linestyle=line, label=legend)
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=len(masks), frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    return figure
