"""Draws the figures from finished runs, and the augmentation pictures of any CT."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.contract import FinishedRow
from experiments.fbpaug.algorithm import WINDOW_HU, change_intensity
from experiments.fbpaug.config import Config
from experiments.fbpaug.evaluate import make_predictor
from jaxmed.augment import sinogram
from jaxmed.metrics import agreement
from jaxmed.report import pictures
from jaxmed.report.figures import save

_change_intensity = jax.jit(change_intensity, static_argnums=0)
_change_kernel = jax.jit(sinogram.change_kernel, static_argnames=("num_angles", "method"))

SHARPENING, SMOOTHING = (30.0, 3.0), (-1.0, 0.7)
"""The parameters (a, b) of the paper's Fig. 1."""


def draw_figures(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws Figs. 1-3 from the rows of Table 1 into `directory`."""
    by_label = {row.row.label: row for row in rows}
    ours = by_label["FBPAug"]
    config, state, data = ours.load(0)
    evaluation = data.evaluation
    if not evaluation.pairs:
        return []
    competitor = _best_competitor(rows)
    pair = _typical_pair(ours)
    arrays = evaluation.arrays[pair]
    slice_index = int(make_predictor(config, state)(arrays["smooth"]).sum(axis=(1, 2)).argmax())
    volumes = {"FBPAug": _volumes(ours), competitor.row.label: _volumes(competitor)}
    compared = {"Baseline": by_label["Baseline"], "FBPAug": ours}
    contours = {
        f"{label}, agreement {row.replicates[0]['agreement'][pair]:.2f}": _masks(row, pair, slice_index)
        for label, row in compared.items()
    }
    images = {kernel: np.asarray(arrays[kernel][slice_index]) for kernel in ("smooth", "sharp")}
    drawn = {
        "fig1-augmentation": _augmented_pair(config, images),
        "fig2-bland-altman": pictures.draw_bland_altman(volumes, "lesion volume, ml", "smooth - sharp, ml"),
        "fig3-contours": pictures.draw_contours(images, contours, WINDOW_HU),
    }
    return [save(figure, directory / f"{name}.png") for name, figure in drawn.items()]


def _best_competitor(rows: Sequence[FinishedRow]) -> FinishedRow:
    others = [row for row in rows if row.row.label != "FBPAug"]
    return max(others, key=lambda row: row.values("agreement").mean())


def _typical_pair(row: FinishedRow) -> str:
    """The pair of median agreement among those with a lesion of at least 1 ml."""
    scores = row.replicates[0]
    pairs = [pair for pair, volume in scores["volume smooth"].items() if volume >= 1]
    pairs = sorted(pairs or scores["agreement"], key=lambda pair: scores["agreement"][pair])
    return pairs[len(pairs) // 2]


def _volumes(row: FinishedRow) -> agreement.BlandAltman:
    """Agreement of the volumes on smooth and sharp images of each pair, averaged over the replicates."""
    smooth, sharp = (
        np.array([list(scores[name].values()) for scores in row.replicates]).mean(axis=0)
        for name in ("volume smooth", "volume sharp")
    )
    return agreement.bland_altman(smooth, sharp)


def _masks(row: FinishedRow, pair: str, slice_index: int) -> tuple[np.ndarray, np.ndarray]:
    config, state, data = row.load(0)
    predict, arrays = make_predictor(config, state), data.evaluation.arrays[pair]
    smooth, sharp = (predict(arrays[kernel])[slice_index] for kernel in ("smooth", "sharp"))
    return smooth, sharp


def change_kernel(config: Config, image_hu: np.ndarray, strength: float, exponent: float) -> np.ndarray:
    """Applies FBPAug with given parameters to one slice (height, width) in HU."""
    change = sinogram.KernelChange(jnp.array([strength]), jnp.array([exponent]), jnp.array([True]))
    changed = _change_kernel(
        jnp.asarray(np.asarray(image_hu, np.float32)[None]),
        change,
        num_angles=2 * config.num_angles,
        method=config.projection,
    )
    return np.asarray(changed)[0]


def _augmented_pair(config: Config, images: dict[str, np.ndarray]):
    panels = {
        "(a) smooth kernel": images["smooth"],
        "(b) sharp kernel": images["sharp"],
        "(c) smooth, FBPAug a=30, b=3": change_kernel(config, images["smooth"], *SHARPENING),
        "(d) sharp, FBPAug a=-1, b=0.7": change_kernel(config, images["sharp"], *SMOOTHING),
    }
    return pictures.draw_slices(panels, 2, WINDOW_HU)


def draw_augmentations(config: Config, image_hu: np.ndarray):
    """One slice under each augmentation of the paper, the random ones with a fixed key."""
    panels = {
        "original": image_hu,
        "FBPAug a=30, b=3": change_kernel(config, image_hu, *SHARPENING),
        "FBPAug a=-1, b=0.7": change_kernel(config, image_hu, *SMOOTHING),
    }
    for method in ("gamma", "noise", "windowing"):
        certain = replace(config, method=method, augment_probability=1.0)
        unit = _change_intensity(certain, np.asarray(image_hu, np.float32)[None], jax.random.key(0))
        panels[method] = np.interp(np.asarray(unit)[0], (0, 1), WINDOW_HU)
    return pictures.draw_slices(panels, 3, WINDOW_HU)
