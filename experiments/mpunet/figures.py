"""Figs. 2 to 4 of the paper, the fits of equation (1), and outlines of both methods on test volumes."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.contract import FinishedRow
from experiments.mpunet.config import NAMES, label
from experiments.mpunet.data import Study
from experiments.mpunet.evaluate import ANNOTATED, METRICS, make_predictor
from jaxmed.metrics import log_plane
from jaxmed.ops.sparse_annotation import UNKNOWN, Annotated
from jaxmed.report import heat_maps, pictures
from jaxmed.report.figures import save
from jaxmed.report.pyplot import Figure

_WINDOW = (-2.5, 2.5)
_NUM_PLANES = 4
_FITTED = {"mean": "Dice", "std": "standard deviation of Dice"}
_ABOUT_FITS = "Equation (1) fitted to the cells with n_t > 0, for the run's own n_a and n_t.\n\n"

_draw_grid = functools.partial(heat_maps.draw_heat_maps, num_columns=3, axes=("n_a", "n_t"))


def draw_figures(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws the figures, and writes the fits, from the rows of a table into `directory`."""
    by_label, grid = {row.row.label: row for row in rows}, rows[0].row.configs[0].grid
    cells = list(itertools.product(grid.annotation_planes, grid.training_planes))
    own = {method: {cell: by_label[label(method, *cell)] for cell in cells} for method in NAMES}
    last = [found[cells[-1]] for found in own.values()]
    study: Study = last[0].load(0)[2].evaluation
    figures = {"fig2-planes": draw_planes(study.annotated[0]), "segmentations": _draw_outlines(last)}
    fits, means = {}, {}
    for method, name in NAMES.items():
        panels, found = _statistics(own[method])
        figures[f"fig3-{name}"] = _draw_grid(panels)
        fits |= {f"{name}, {_FITTED[statistic]}": fit for statistic, fit in found.items()}
        for metric in METRICS:
            means[f"{name}: {metric}"] = {c: np.mean(row.values(metric)) for c, row in own[method].items()}
    shared = [[f"{name}: {metric}" for name in NAMES.values()] for metric in METRICS]
    figures["fig4-methods"] = _draw_grid(means, shared=shared)
    files = [save(figure, directory / f"{name}.png") for name, figure in figures.items()]
    (directory / "fits.md").write_text(_ABOUT_FITS + log_plane.to_markdown(fits))
    return [*files, directory / "fits.md"]


def _statistics(rows: Mapping[tuple[int, int], FinishedRow]) -> tuple[dict, dict]:
    """Fig. 3: means and standard deviations over the repeats by cell, and the planes that fit Dice's."""
    own = {cell: row.row.configs[0].cell for cell, row in rows.items()}
    fits = log_plane.fit_statistics({own[cell]: row.values("dice") for cell, row in rows.items()})
    panels = {}
    for name, reduce in log_plane.STATISTICS.items():
        for metric in (ANNOTATED, "dice"):
            panels[f"{name} of {metric}"] = {cell: reduce(row.values(metric)) for cell, row in rows.items()}
        fit = fits[name]
        panels[f"plane fitted to {name} of dice"] = {
            cell: fit.at(*own[cell]) if fit else np.nan for cell in rows
        }
    return panels, fits


def draw_planes(annotated: Annotated) -> Figure:
    """Figs. 1 and 2: the training planes with most foreground annotated, and what is annotated in them."""
    order = np.argsort(-(annotated.label == 1).sum(axis=(1, 2)), kind="stable")[:_NUM_PLANES]
    return pictures.draw_sparse(annotated.image[order], annotated.label[order], UNKNOWN, _WINDOW)


def _draw_outlines(rows: Sequence[FinishedRow]) -> Figure:
    """The slices with most foreground of test volumes, with the outlines of reference and methods."""
    study: Study = rows[0].load(0)[2].evaluation
    volumes = {name: study.volumes[name] for name in study.test[:3]}
    masks = {"reference": [one.label for one in volumes.values()]}
    for row in rows:
        predict = make_predictor(*row.load(0)[:2])
        masks[row.row.label] = [predict(one.image, one.spacing.tolist()) for one in volumes.values()]
    images = {name: one.image for name, one in volumes.items()}
    return pictures.draw_busiest_slices(images, masks, _WINDOW)
