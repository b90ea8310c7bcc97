"""Fig. 2 (FROC curves), Fig. 3 (what is found and what is mistaken), and kappa beside Dice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_pipelines import sphere_patches
from data_pipelines.sphere_patches import FULL_SCALE
from experiments.aneurysm.evaluate import MAX_FALSE_POSITIVES, froc_of, make_predictor
from experiments.contract import FinishedRow
from jaxmed.metrics import detection
from jaxmed.report import froc, pictures
from jaxmed.report.figures import save

_PAPER = {"paper, nearest the corner": (0.14, 0.72), "paper": (0.40, 0.80), "paper, too": (0.13, 0.70)}
"""False positives per case and sensitivity, as printed in section 3.2."""


def draw_figures(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws all three."""
    drawn = {
        "fig2-froc": _froc(rows),
        "fig3-detections": _detections(rows[0]),
        "kappa-and-dice": _kappa_and_dice(rows),
    }
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


def _kappa_and_dice(rows: Sequence[FinishedRow]):
    """Every run: kappa and Dice of one mask lie on the diagonal, the Dice coefficient of Keras does not."""
    runs = [scores for row in rows for scores in row.replicates]
    kappa, dice, soft = ([one[name]["all"] for one in runs] for name in ("kappa", "dice", "soft dice"))
    named = {"Dice of the same mask": (kappa, dice), "Dice of probabilities, by batches": (kappa, soft)}
    return froc.draw_against("Cohen's kappa", named)
