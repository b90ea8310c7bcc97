"""Fig. 2 (FROC curves), Fig. 3 (what is found and mistaken; the surge of kappa), and kappa beside Dice."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines import sphere_patches
from data_pipelines.sphere_patches import FULL_SCALE
from experiments.aneurysm.evaluate import MAX_FALSE_POSITIVES, froc_of, make_predictor
from experiments.contract import FinishedRow
from jaxmed.metrics import confusion, detection
from jaxmed.report import froc, histories, pictures
from jaxmed.report.figures import save

_PAPER = {"paper, nearest the corner": (0.14, 0.72), "paper": (0.40, 0.80), "paper, too": (0.13, 0.70)}
"""False positives per case and sensitivity, as printed in section 3.2."""

_SPANS = 40
"""Of the training, each long enough to hold ten lines of the demo's log."""


def draw_figures(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws all of them; training where its runs were long enough to log something."""
    drawn = {
        "fig2-froc": _froc(rows),
        "fig3-detections": _detections(rows[0]),
        "kappa-and-dice": _kappa_and_dice(rows),
    }
    curves = {row.row.label: training_curves(row.read_log(0)) for row in rows}
    if logged := {label: curve for label, curve in curves.items() if curve}:
        drawn["fig3-training"] = histories.draw_histories(logged, "step")
    return [save(figure, directory / f"{name}.png") for name, figure in drawn.items()]


def _froc(rows: Sequence[FinishedRow]):
    curves = {}
    for row in rows:
        curve = froc_of(row.replicates)
        best = detection.nearest_corner(curve)
        area = detection.area(curve, MAX_FALSE_POSITIVES)
        at = f"{curve.sensitivity[best]:.2f} @ {curve.false_positives[best]:.2f}"
        curves[f"{row.row.label}: AUC {area:.3f}, best {at}"] = curve
    return froc.draw_froc(curves, _PAPER, max_false_positives=MAX_FALSE_POSITIVES)


def _detections(row: FinishedRow):
    """Projections of the first test cases: the annotation and what is predicted."""
    config, state, data = row.load(0)
    predict, images, masks = make_predictor(config, state), {}, {"annotation": [], "prediction": []}
    for case in data.evaluation.test[:4]:
        arrays = data.evaluation.arrays[case]
        volume = arrays["image"] / np.float32(FULL_SCALE)
        images[case] = volume.max(axis=0)
        truth = sphere_patches.mask_of(arrays["spheres"], volume.shape)
        masks["annotation"].append(truth.max(axis=0))
        masks["prediction"].append((predict(volume) > config.threshold).max(axis=0))
    return pictures.draw_contours(images, masks, (0.0, 0.8))


def training_curves(log: Sequence[Mapping[str, Any]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Fig. 3, right: kappa and both Dice coefficients of the patches trained on, as they come.

    Kappa and Dice of the mask are those of all voxels logged within a fortieth of the training together, and
    NaN where none of these is labelled.

    Args:
        log: lines of a run, with what `algorithm.watch` measures.

    Returns:
        By title of the panel, steps and values; nothing of a run that logged nothing.
    """
    if not log:
        return {}
    names = (*confusion.Confusion._fields, "soft dice")
    lines = np.array([[line[name] for name in names] for line in log])
    steps, means = histories.mean_over_spans(np.array([line["step"] for line in log]), lines, _SPANS)
    shares = [confusion.Confusion(*row) for row in means[:, :-1].tolist()]
    curves = {"Cohen's kappa": confusion.cohen_kappa, "Dice of the same mask": confusion.dice}
    labelled = [one.true_positives + one.false_negatives > 0 for one in shares]
    return {
        title: (steps, np.where(labelled, [measure(one) for one in shares], np.nan))
        for title, measure in curves.items()
    } | {"Dice of probabilities, by batches": (steps, means[:, -1])}


def _kappa_and_dice(rows: Sequence[FinishedRow]):
    """Every run: kappa and Dice of one mask lie on the diagonal, the Dice coefficient of Keras does not."""
    runs = [scores for row in rows for scores in row.replicates]
    kappa, dice, soft = ([one[name]["all"] for one in runs] for name in ("kappa", "dice", "soft dice"))
    named = {"Dice of the same mask": (kappa, dice), "Dice of probabilities, by batches": (kappa, soft)}
    return froc.draw_against("Cohen's kappa", named)
