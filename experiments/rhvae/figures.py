"""Fig. 1 of the paper, the energy along geodesics, and samples of every method."""

from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from experiments.contract import FinishedRow
from experiments.rhvae import generative
from jaxmed.algorithms import manifold_sampling
from jaxmed.algorithms.variational import batch_metric
from jaxmed.report import geodesics, pictures
from jaxmed.report.figures import save

_NUM_SHOWN = 10
_SAMPLED = {"VAE prior": "VAE-200", "RHVAE prior": "RHVAE-200", "ours": "OURS-200"}


def draw_figures(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws the figures from the rows of Table 2 into `directory`."""
    by_label = {row.row.label: row for row in rows}
    config, state, data = by_label["OURS-200"].load(0)
    own, part = generative.plane_config(config), generative.plane_images(data.evaluation)
    flow = generative.make_flow(own)
    assert flow is not None
    weight = jnp.ones(len(part.labels))
    metric = batch_metric(generative.make_model(own), state.plane, jnp.asarray(part.images), weight, flow)
    figures = {
        "fig1-geodesics": geodesics.draw_geodesics(metric, part.labels),
        "energy": geodesics.draw_energy(metric),
        "samples": _draw_samples({name: by_label[label] for name, label in _SAMPLED.items()}),
    }
    return [save(figure, directory / f"{name}.png") for name, figure in figures.items()]


def _draw_samples(rows: dict[str, FinishedRow]):
    """The first images of every class of the first set, real ones and those of each method."""
    sheets = {}
    for name, row in rows.items():
        config, state, data = row.load(0)
        sheets.setdefault("raw data", _sheet(data.evaluation.class_images))
        z = state.latents[:, :_NUM_SHOWN]
        sheets[name] = _sheet(manifold_sampling.decode(generative.make_model(config), state.generators, z))
    return pictures.draw_slices(sheets, len(sheets), (0.0, 1.0))


def _sheet(images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    return pictures.tile_rows([one[..., 0] for one in images[:_NUM_SHOWN]], _NUM_SHOWN)
