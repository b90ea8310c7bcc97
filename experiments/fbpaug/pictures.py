"""The paper's figures: augmentation examples (1), Bland-Altman plot (2), contours on a pair (3)."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.fbpaug.algorithm import LOWER_HU, UPPER_HU
from jaxmed.metrics import agreement

_WINDOW = {"cmap": "gray", "vmin": LOWER_HU, "vmax": UPPER_HU}


def draw_slices(slices_hu: dict[str, np.ndarray], num_columns: int) -> Figure:
    """Slices (height, width) in HU in the network's window, each under its title."""
    num_rows = -(-len(slices_hu) // num_columns)
    figure, axes = plt.subplots(
        num_rows, num_columns, figsize=(3 * num_columns, 3.2 * num_rows), squeeze=False
    )
    for panel in axes.flat:
        panel.set_axis_off()
    for panel, (title, image) in zip(axes.flat, slices_hu.items(), strict=False):
        panel.imshow(image, **_WINDOW)
        panel.set_title(title, fontsize=9)
    figure.tight_layout()
    return figure


def draw_bland_altman(volumes_ml: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Differences (smooth - sharp) of lesion volumes against their means, one colour per method."""
    figure, panel = plt.subplots(figsize=(6, 4))
    for colour, (method, (smooth, sharp)) in zip(("tab:red", "tab:blue"), volumes_ml.items(), strict=True):
        points = agreement.bland_altman(smooth, sharp)
        label = f"{method}: bias {points.bias:.1f} ml, limits {points.lower:.1f} to {points.upper:.1f} ml"
        panel.scatter(points.mean, points.difference, s=14, color=colour, alpha=0.7, label=label)
        panel.axhline(points.bias, color=colour, linewidth=1)
        for limit in (points.lower, points.upper):
            panel.axhline(limit, color=colour, linewidth=1, linestyle="--")
    panel.set_xlabel("mean lesion volume, ml")
    panel.set_ylabel("smooth - sharp, ml")
    panel.legend(fontsize=8, frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def draw_contours(
    smooth_hu: np.ndarray,
    sharp_hu: np.ndarray,
    masks: dict[str, tuple[np.ndarray, np.ndarray]],
    agreements: dict[str, float],
) -> Figure:
    """One slice of a pair with the contours of each method.

    Args:
        smooth_hu: (height, width).
        sharp_hu: (height, width).
        masks: by method, the masks on both slices.
        agreements: by method, the agreement within the whole pair.
    """
    figure, panels = plt.subplots(1, 2, figsize=(8, 4.4))
    styles = (("red", "dashed"), ("deepskyblue", "solid"))
    for side, (panel, image) in enumerate(zip(panels, (smooth_hu, sharp_hu), strict=True)):
        panel.imshow(image, **_WINDOW)
        panel.set_title(("smooth kernel", "sharp kernel")[side])
        panel.set_axis_off()
        for (colour, line), (method, found) in zip(styles, masks.items(), strict=True):
            if found[side].any():
                panel.contour(found[side], levels=[0.5], colors=colour, linestyles=line, linewidths=1.2)
            panel.plot(
                [], [], color=colour, linestyle=line, label=f"{method}, agreement {agreements[method]:.2f}"
            )
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=2, frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    return figure
