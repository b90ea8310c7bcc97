"""Figs. 2 to 4 of the paper, the fits of equation (1), and outlines of both methods on test volumes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.contract import Data, FinishedRow
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


def draw_figures(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws the figures, and writes the fits, from the rows of a table into `directory`."""
    grid = rows[0].row.configs[0].grid
    cells = [(n_a, n_t) for n_a in grid.annotation_planes for n_t in grid.training_planes]
    names = {"rows": grid.annotation_planes, "columns": grid.training_planes, "axes": ("n_a", "n_t")}
    by_label = {row.row.label: row for row in rows}
    own = {method: [by_label[label(method, *cell)] for cell in cells] for method in NAMES}
    last = [found[-1] for found in own.values()]
    study: Study = last[0].load(0)[2].evaluation
    figures = {"fig2-planes": draw_planes(study.annotated[0]), "segmentations": _draw_outlines(last)}
    planes = {}
    shape = (len(grid.annotation_planes), len(grid.training_planes))
    for method, name in NAMES.items():
        panels, fits = _grid(own[method], shape)
        figures[f"fig3-{name}"] = heat_maps.draw_heat_maps(panels, num_columns=3, **names)
        planes |= {f"{name}, {title}": fit for title, fit in fits.items()}
    panels = {
        f"{name}: {metric}": np.reshape([np.mean(_values(row, metric)) for row in own[method]], shape)
        for method, name in NAMES.items()
        for metric in METRICS
    }
    shared = [[f"{name}: {metric}" for name in NAMES.values()] for metric in METRICS]
    figures["fig4-methods"] = heat_maps.draw_heat_maps(panels, num_columns=3, shared=shared, **names)
    (directory / "fits.md").write_text(log_plane.to_markdown(planes))
    files = [save(figure, directory / f"{name}.png") for name, figure in figures.items()]
    return [*files, directory / "fits.md"]


def _values(row: FinishedRow, metric: str) -> list[float]:
    """Of all repeats of a row."""
    return [value for scores in row.replicates for value in scores[metric].values()]


def _std(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _grid(rows: Sequence[FinishedRow], shape: tuple[int, int]) -> tuple[dict, dict]:
    """Fig. 3: means and standard deviations over the repeats by cell, and the planes that fit Dice's."""
    cells = [row.row.configs[0].cell for row in rows]
    dice = [_values(row, "dice") for row in rows]
    spreads = [[value for value in [_std(one)] if np.isfinite(value)] for one in dice]
    fits = {
        "Dice": log_plane.fit_log_plane(dict(zip(cells, dice, strict=True))),
        "standard deviation of Dice": log_plane.fit_log_plane(dict(zip(cells, spreads, strict=True))),
    }
    panels = {}
    for (title, reduce), fit in zip((("mean", np.mean), ("std", _std)), fits.values(), strict=True):
        for metric in (ANNOTATED, "dice"):
            values = np.array([float(reduce(_values(row, metric))) for row in rows])
            panels[f"{title} of {metric}"] = values.reshape(shape)
        fitted = [fit.at(*cell) if fit else np.nan for cell in cells]
        panels[f"plane fitted to {title} of dice"] = np.array(fitted, np.float64).reshape(shape)
    return panels, fits


def draw_planes(annotated: Annotated) -> Figure:
    """Figs. 1 and 2: the training planes with most foreground annotated, and what is annotated in them."""
    order = np.argsort(-(annotated.label == 1).sum(axis=(1, 2)), kind="stable")[:_NUM_PLANES]
    return pictures.draw_sparse(annotated.image[order], annotated.label[order], UNKNOWN, _WINDOW)


def _draw_outlines(rows: Sequence[FinishedRow]) -> Figure:
    """The slices with most foreground of test volumes, with the outlines of reference and methods."""
    data: Data = rows[0].load(0)[2]
    volumes = {name: data.evaluation.volumes[name] for name in data.evaluation.test[:3]}
    slices = {name: int(volume.label.sum(axis=(1, 2)).argmax()) for name, volume in volumes.items()}
    outlines = {"reference": [volume.label[slices[name]] > 0 for name, volume in volumes.items()]}
    for row in rows:
        predict = make_predictor(*row.load(0)[:2])
        outlines[row.row.label] = [
            predict(volume.image, volume.spacing)[slices[name]] for name, volume in volumes.items()
        ]
    images = {f"{name}, slice {k}": volumes[name].image[k] for name, k in slices.items()}
    return pictures.draw_contours(images, outlines, _WINDOW)
