"""Figs. 3 and 4 of the paper from finished runs, and boxes of any volume."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from data_pipelines.box_patches import correct_boxes
from experiments.boxseg.config import Config
from experiments.boxseg.evaluate import make_patch_classifier, make_segmenter
from experiments.contract import FinishedRow
from jaxmed.ops import boxes as box_ops
from jaxmed.report import pictures
from jaxmed.report.figures import save
from jaxmed.report.pyplot import Figure

WINDOW_HU = (-100.0, 240.0)
_OURS = "3D corrected, p = 16, 20 images"


def draw_figures(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws Figs. 3 and 4: a test case of median Dice with correction, where a 3-D box is far from tight."""
    chosen = {row.row.label: row for row in rows if row.row.label in ("2D tight", "3D non-tight", _OURS)}
    config, state, run_data = chosen[_OURS].load(0)
    dice = chosen[_OURS].replicates[0]["dice"]
    arrays = run_data.evaluation.arrays[sorted(dice, key=lambda name: dice[name])[len(dice) // 2]]
    position = int(arrays["box"][0] + (arrays["box"][3] - arrays["box"][0]) * 2 // 3)
    segmented = {label: make_segmenter(*row.load(0)[:2])(arrays["image"]) for label, row in chosen.items()}
    truth = arrays["label"][position] > 0
    titles = [f"({letter}) {label}" for letter, label in zip("abcd", ("ground truth", *chosen), strict=True)]
    found = [np.zeros_like(truth), *(mask[position] for mask in segmented.values())]
    segmentations = pictures.draw_contours(
        dict.fromkeys(titles, np.asarray(arrays["image"][position])),
        {"ground truth": [truth] * len(titles), "segmentation": found},
        WINDOW_HU,
    )
    drawn = {
        "fig3-segmentations": segmentations,
        "fig4-correction": draw_correction(config, state, arrays, position),
    }
    return [save(figure, directory / f"{name}.png") for name, figure in drawn.items()]


def draw_correction(config: Config, state, arrays: Mapping[str, np.ndarray], position: int) -> Figure:
    """One slice with its tight box, the 3-D box, the patches that are foreground, and the corrected box."""
    image, truth = np.asarray(arrays["image"][position]), arrays["label"][position] > 0
    classify = make_patch_classifier(config, state.classifier, state.intensity)
    boxes, patches, probabilities = correct_boxes(arrays, config.patch_size, classify)
    chosen = probabilities[position - patches.box[0]] > 0.5
    panels = {
        "(a) tight box": _fill(arrays["boxes"][position], image.shape),
        "(b) 3-D box": _fill(arrays["loose_boxes"][position], image.shape),
        "(c) foreground patches": patches.cover(chosen, image.shape),
        "(d) corrected box": _fill(boxes[position], image.shape),
    }
    masks = {"box or patches": list(panels.values()), "object": [truth] * len(panels)}
    return pictures.draw_contours(dict.fromkeys(panels, image), masks, WINDOW_HU)


def draw_boxes(arrays: Mapping[str, np.ndarray], num_slices: int) -> Figure:
    """Slices through a 3-D box with their tight boxes, the 3-D box and the mask."""
    first, last = int(arrays["box"][0]), int(arrays["box"][3])
    positions = np.unique(np.linspace(first, last - 1, num_slices).round().astype(int))
    names, shape = {"tight box": "boxes", "3-D box": "loose_boxes"}, arrays["image"].shape[1:]
    masks = {title: [_fill(box, shape) for box in arrays[name][positions]] for title, name in names.items()}
    masks["mask"] = list(arrays["label"][positions] > 0)
    images = {f"slice {position}": arrays["image"][position] for position in positions}
    return pictures.draw_contours(images, masks, WINDOW_HU)


def _fill(box: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return np.asarray(box_ops.fill_boxes(jnp.asarray(box)[None], tuple(shape))[0])
