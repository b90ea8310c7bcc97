"""Figures 2 to 6 of the paper: samples, projection, mixed styles; and the ventricles of samples."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from data_pipelines.head_volumes import from_grid
from experiments.contract import FinishedRow
from experiments.stylegan3d import algorithm
from experiments.stylegan3d.config import Config
from experiments.stylegan3d.evaluate import project
from jaxmed.ops.styles import mix_styles
from jaxmed.report import planes
from jaxmed.report.figures import save
from jaxmed.report.pyplot import Figure

_WINDOW = (-1.0, 1.0)
_NUM_SHOWN = 3


def draw_samples(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Uncurated heads of every row of Table 2 (Figs. 2, 3, 6), and the distributions of their ventricles."""
    shown, measured = {}, {}
    for row in rows:
        config, state, data = row.load(0)
        label = row.row.label
        if config.study == "real":
            heads = data.evaluation.images(data.evaluation.test[:_NUM_SHOWN])
        else:
            heads = algorithm.make_sampler(config, state).draw(_NUM_SHOWN)
        shown |= {f"{label}, {number}": head for number, head in enumerate(heads, 1)}
        measured[label] = list(row.replicates[0]["ventricles, ml"].values())
    return [
        save(draw_heads(shown), directory / "fig2-samples.png"),
        save(planes.draw_histograms(measured, "lateral ventricles, ml"), directory / "ventricles.png"),
    ]


def draw_projection(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Unseen heads and their reconstructions (Fig. 4)."""
    by_label = {row.row.label: row for row in rows}
    config, state, data = by_label["style and noise"].load(0)
    targets = data.evaluation.images(data.evaluation.test[:_NUM_SHOWN])
    return [save(draw_reconstruction(config, state, targets), directory / "fig4-projection.png")]


def draw_mixing(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Coarse styles of one head with fine styles of others (Fig. 5)."""
    config, state, _ = rows[0].load(0)
    return [save(draw_mixed(config, state), directory / "fig5-mixing.png")]


def draw_heads(heads: Mapping[str, np.ndarray]) -> Figure:
    """Three planes of heads (*shape, 1) in [-1, 1], by title."""
    return planes.draw_planes({title: from_grid(head[..., 0]) for title, head in heads.items()}, _WINDOW)


def draw_reconstruction(config: Config, state, targets: np.ndarray) -> Figure:
    """Heads (n, *shape, 1) beside what their projection makes of them."""
    images = np.asarray(project(config, state, targets).images)
    heads = {}
    for number, pair in enumerate(zip(targets, images, strict=True), 1):
        heads |= {f"{name} {number}": head for name, head in zip(("head", "projected"), pair, strict=True)}
    return draw_heads(heads)


def draw_mixed(config: Config, state) -> Figure:
    """Two heads, another whose coarse styles they take, and the two results."""
    sampler = algorithm.make_sampler(config, state)
    styles = sampler.draw_styles(3)
    mixed = mix_styles(styles[jnp.array([2, 2])], styles[:2], config.evaluation.crossover)
    heads = sampler.synthesise(jnp.concatenate([styles, mixed]))
    titles = ("fine 1", "fine 2", "coarse", "coarse + fine 1", "coarse + fine 2")
    return draw_heads(dict(zip(titles, heads, strict=True)))
