"""Pictures of distributions side by side: ellipses in a plane, and boxes from quantiles."""

from collections.abc import Mapping

import numpy as np

from jaxmed.ops.principal_components import principal_plane, sigma_ellipse
from jaxmed.report.pyplot import Figure, plt

_COLOURS = ("black", "tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def project_to_plane(
    features: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Projects features into the plane of the real images' average features.

    Args:
        features: by set, those of real and of synthetic images, (networks, images, features); the networks of
            a set saw the same real images.

    Returns:
        (images, 2): "real", the average over the networks of all sets in the plane of its two principal
        components, and each set's synthetic images, averaged over its networks.

    Reference: Tronchin et al., Evaluating GANs in Medical Imaging, section 2.
    """
    reference = np.concatenate([real for real, _ in features.values()]).mean(axis=0)
    plane = principal_plane(reference)
    projected = {name: plane.project(found.mean(axis=0)) for name, (_, found) in features.items()}
    return {"real": plane.project(reference), **projected}


def draw_ellipses(panels: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draws points in a plane with the ellipse of one standard deviation around each set's mean.

    Args:
        panels: by title, the sets by name: (points, 2). The first set is drawn in black, up to six follow.
    """
    from matplotlib.patches import Ellipse

    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 4.4), squeeze=False)
    for panel, (title, sets) in zip(axes[0], panels.items(), strict=True):
        for colour, (name, points) in zip(_COLOURS, sets.items(), strict=False):
            panel.scatter(*points.T, s=7, alpha=0.4, color=colour, linewidths=0)
            found = sigma_ellipse(points)
            width, height = 2 * found.half
            outline = Ellipse(
                (float(found.centre[0]), float(found.centre[1])),
                width,
                height,
                angle=found.degrees,
                fill=False,
                color=colour,
                linewidth=1.8,
                label=name,
            )
            panel.add_patch(outline)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("first principal component")
        panel.set_ylabel("second principal component")
        panel.spines[["top", "right"]].set_visible(False)
    axes[0][-1].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    return figure


def draw_boxes(panels: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]], quantity: str) -> Figure:
    """Draws boxes of quartiles with whiskers from the 5 % to the 95 % quantile, in groups.

    Args:
        panels: by title, groups by name, and in each the boxes by name: (101,) quantiles from 0 to 1. All
            groups have the same boxes.
        quantity: title of the vertical axes.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.6), squeeze=False, sharey=True)
    for panel, (title, groups) in zip(axes[0], panels.items(), strict=True):
        names = list(next(iter(groups.values())))
        for number, name in enumerate(names):
            places = [group * (len(names) + 1) + number for group in range(len(groups))]
            boxes = [
                {
                    key: float(boxes[name][percent])
                    for key, percent in (("whislo", 5), ("q1", 25), ("med", 50), ("q3", 75), ("whishi", 95))
                }
                for boxes in groups.values()
            ]
            colour = _COLOURS[1 + number]
            panel.bxp(
                boxes,
                positions=places,
                widths=0.8,
                showfliers=False,
                patch_artist=True,
                boxprops={"facecolor": colour, "alpha": 0.6},
                medianprops={"color": "black"},
            )
            panel.plot([], [], color=colour, linewidth=6, alpha=0.6, label=name)
        middles = [group * (len(names) + 1) + (len(names) - 1) / 2 for group in range(len(groups))]
        panel.set_xticks(middles, list(groups))
        panel.set_title(title, fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel(quantity)
    axes[0][-1].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    return figure
