"""Middle slices of volumes in the three planes, and histograms of what was measured in them."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxmed.report.pyplot import Figure, plt


def middle_planes(volume: np.ndarray) -> dict[str, np.ndarray]:
    """Sagittal, axial and coronal middle slices, superior or anterior at the top, the left at the right.

    Args:
        volume: (depth, height, width), towards superior, posterior and the left.
    """
    depth, height, width = (size // 2 for size in volume.shape)
    return {
        "sagittal": volume[::-1, :, width],
        "axial": volume[depth],
        "coronal": volume[::-1, height],
    }


def draw_planes(volumes: Mapping[str, np.ndarray], window: tuple[float, float]) -> Figure:
    """Draws the three planes of volumes, a column for each under its title.

    Args:
        volumes: (depth, height, width) by title, one or more, of one shape.
        window: values shown as black and as white.
    """
    shape = next(iter(volumes.values())).shape
    sizes = [shape[0] / shape[1], shape[1] / shape[2], shape[0] / shape[2]]
    figure, axes = plt.subplots(
        3,
        len(volumes),
        figsize=(1.5 * len(volumes), 1.5 * sum(sizes) + 0.4),
        squeeze=False,
        height_ratios=sizes,
    )
    for column, (title, volume) in enumerate(volumes.items()):
        for panel, plane in zip(axes[:, column], middle_planes(volume).values(), strict=True):
            panel.imshow(plane, cmap="gray", vmin=window[0], vmax=window[1], aspect="equal")
            panel.set_axis_off()
        axes[0, column].set_title(title, fontsize=7)
    figure.tight_layout(pad=0.3)
    return figure


def draw_histograms(values: Mapping[str, Sequence[float]], quantity: str) -> Figure:
    """Draws one histogram below the other on a common axis, each with its mean.

    Args:
        values: by title, one or more.
        quantity: title of the axis, with its unit.
    """
    every = np.concatenate([np.asarray(one, np.float64) for one in values.values()])
    edges = np.linspace(every.min(), max(every.max(), every.min() + 1e-6), 31)
    figure, axes = plt.subplots(
        len(values), 1, figsize=(5, 1.1 * len(values) + 0.6), sharex=True, squeeze=False
    )
    for panel, (title, one) in zip(axes[:, 0], values.items(), strict=True):
        panel.hist(one, edges, density=True, color="tab:blue", alpha=0.7)
        panel.axvline(np.mean(one), color="black", linewidth=1)
        panel.set_ylabel(title, fontsize=7, rotation=0, ha="right", va="center")
        panel.set_yticks([])
        panel.spines[["top", "right", "left"]].set_visible(False)
    axes[-1, 0].set_xlabel(quantity)
    figure.tight_layout()
    return figure
