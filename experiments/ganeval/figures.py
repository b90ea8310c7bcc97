"""Figures 1 to 3 of the paper, of one run or of one for each GAN."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.contract import FinishedRow
from experiments.ganeval import networks
from experiments.ganeval.config import Config
from experiments.ganeval.data import Study
from experiments.ganeval.evaluate import judges_of
from experiments.ganeval.run import StudyState, synthesise
from jaxmed.algorithms import two_sample
from jaxmed.metrics import set_comparison
from jaxmed.report import contact_sheet, distributions
from jaxmed.report.figures import save

_NUM_SHOWN = 10

_SHOWN_KINDS = ("S_S", "S_R", "R_R")


Runs = Mapping[str, tuple[Config, StudyState, Study]]


def draw_figures(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws the figures from the rows of Table 4 into `directory`."""
    loaded = {row.row.label: row.load(0) for row in rows}
    runs = {label: (config, state, data.evaluation) for label, (config, state, data) in loaded.items()}
    return draw_runs(runs, directory)


def draw_runs(runs: Runs, directory: Path) -> list[Path]:
    """Draws the planes, the similarities and samples of runs on the same real images."""
    made = {
        name: synthesise(config, state.generators, study) for name, (config, state, study) in runs.items()
    }
    config, _, study = next(iter(runs.values()))
    planes, boxes, rows, titles = {}, {}, [], []
    for number, label in enumerate(config.classes):
        images = {name: synthetic[label].test for name, synthetic in made.items()}
        planes[label] = distributions.project_to_plane(
            {name: _features(*run, number, images[name]) for name, run in runs.items()}
        )
        boxes[label] = {name: _quantiles(state, number) for name, (_, state, _) in runs.items()}
        for name, shown in {"real": study.real[label].test, **images}.items():
            chosen = np.unique(np.linspace(0, len(shown) - 1, _NUM_SHOWN).astype(int))
            rows.append(shown[chosen, ..., 0])
            titles.append(f"{label}, {name}")
    figures = {
        "fig1-planes": distributions.draw_ellipses(planes),
        "fig2-similarities": distributions.draw_boxes(boxes, "largest MS-SSIM"),
        "fig3-samples": contact_sheet.draw_rows(rows, titles),
    }
    return [save(figure, directory / f"{name}.png") for name, figure in figures.items()]


def _features(
    config: Config, state: StudyState, study: Study, number: int, synthetic: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of real and of synthetic test images, as the CNNs of the class see them."""
    model, judges = networks.make_judge(config.judge), judges_of(config, state, number)
    real = study.real[config.classes[number]].test
    found = [two_sample.compute_features(model, judges, images) for images in (real, synthetic)]
    return found[0], found[1]


def _quantiles(state: StudyState, number: int) -> dict[str, np.ndarray]:
    own = np.asarray(state.quantiles)[number, :, 0]
    return {kind: own[set_comparison.KINDS.index(kind)] for kind in _SHOWN_KINDS}
