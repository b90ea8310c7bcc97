"""Figures 2 and 3 of the paper from finished runs, and pictures of what lies in each cluster."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from experiments.contract import FinishedRow
from experiments.deepmcat.algorithm import MEASURES
from experiments.deepmcat.evaluate import cluster_images
from jaxmed.report import contact_sheet
from jaxmed.report.figures import save
from jaxmed.report.histories import draw_histories
from jaxmed.report.pyplot import Figure

_TITLES = {
    "nmi previous": "NMI, t against t - 1",
    "nmi labels": "NMI, t against labels",
    "purity": "cluster purity",
    "loss": "loss of the epoch before",
    "clusters": "clusters that are not empty",
}


def draw_table1(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws Fig. 2 and, for the paper's method on each set, images by cluster."""
    trained = [row for row in rows if row.row.label.endswith("DeepMCAT")]
    files = [save(draw_curves(trained), directory / "fig2-training.png")]
    for row in trained:
        config, state, data = row.load(0)
        found = cluster_images(config, state, data.evaluation, jax.random.key(0))
        name = row.row.label.split()[0].strip("()")
        sheet = contact_sheet.draw_groups(data.evaluation.images, found)
        files.append(save(sheet, directory / f"clusters-{name}.png"))
    return files


def draw_stability(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws Fig. 3: the longest run."""
    longest = max(rows, key=lambda row: row.row.configs[0].num_epochs)
    return [save(draw_curves([longest]), directory / "fig3-stability.png")]


def draw_curves(rows: Sequence[FinishedRow]) -> Figure:
    """Draws what each clustering of the first run of each row gave, over the epochs."""
    curves: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for row in rows:
        history = np.asarray(row.load(0)[1].history)
        # Before the first epoch there is no loss and no earlier clustering.
        firsts = {name: int(name in ("loss", "nmi previous")) for name in _TITLES}
        curves[row.row.label] = {
            title: (np.arange(firsts[name], len(history)), history[firsts[name] :, MEASURES.index(name)])
            for name, title in _TITLES.items()
        }
    return draw_histories(curves)
