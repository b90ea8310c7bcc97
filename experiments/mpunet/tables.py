"""The grids of Figs. 3 and 4 and of the cardiac data set, what both data sets gain, and the claims."""

import functools
import itertools
from dataclasses import replace
from typing import Any

from experiments.contract import Claim, Published, Row, Table
from experiments.mpunet import figures
from experiments.mpunet.config import NAMES, Config, Dataset, Method, label
from experiments.mpunet.evaluate import ANNOTATED, LOG_ANNOTATED
from jaxmed.metrics.log_plane import LogPlane

_PRINTED = {
    label("multi_planar", 4, 0): {"dice": Published(0.5952, 0.2826)},
    label("multi_planar", 16, 0): {"dice": Published(0.8955)},
    label("multi_planar", 4, 512): {"dice": Published(0.8949)},
    label("multi_planar", 16, 512): {"dice": Published(0.9228)},
}
"""Of mitochondria; the other cells are colours in Fig. 3 without numbers."""

_FITTED: dict[Dataset, LogPlane] = {
    "mitochondria": LogPlane(0.019, 0.010, 0.80, {}),
    "cardiac": LogPlane(0.045, -0.00075, 0.69, {}),
}
"""Equation (1) of the multi-planar U-Net, as printed."""

_SEVENTY_PERCENT_FEWER = 0.523
"""-log10(1 - 0.7)."""

_CORNERS = (4, 16)
_SPARSE = tuple((n_a, n_t) for n_a in _CORNERS for n_t in (128, 512))


def rows(dataset: Dataset, preset: Config) -> tuple[Row, ...]:
    """Every cell of the preset's grid with both methods, under the paper's numbers of planes."""
    grid, printed = preset.grid, _PRINTED if dataset == "mitochondria" else {}
    return tuple(
        Row(label(*cell), (_config(dataset, *cell, preset),), printed.get(label(*cell), {}))
        for cell in itertools.product(NAMES, grid.annotation_planes, grid.training_planes)
    )


def _config(dataset: Dataset, method: Method, n_a: int, n_t: int, preset: Config) -> Config:
    """The 3-D network gets as many patches per update as have as many elements as the planes."""
    batch_size = preset.batch_size
    if method == "unet_3d":
        batch_size = max(1, batch_size * preset.plane_size**2 // preset.patch_size**3)
    return replace(
        preset,
        method=method,
        dataset=dataset,
        num_annotation_planes=n_a // preset.grid.annotation_divisor,
        num_training_planes=n_t // preset.grid.training_divisor,
        batch_size=batch_size,
    )


def _pooled_rows(preset: Config) -> tuple[Row, ...]:
    """Cells with few or many planes of one kind on both data sets, beside the printed fits."""
    pools = {f"n_a={n}": [(n, n_t) for n_t in (128, 512)] for n in _CORNERS}
    pools |= {f"n_t={n}": [(n_a, n) for n_a in _CORNERS] for n in (128, 512)}
    return tuple(
        Row(
            f"{dataset} {planes}",
            tuple(_config(dataset, "multi_planar", *cell, preset) for cell in cells),
            {"dice": Published(sum(fitted.at(*cell) for cell in cells) / len(cells))},
        )
        for dataset, fitted in _FITTED.items()
        for planes, cells in pools.items()
    )


def _above(
    text: str, left: tuple[int, int], right: tuple[int, int], metric: str = "dice", **how: Any
) -> Claim:
    """A finding about two cells of the multi-planar network."""
    return Claim(text, metric, label("multi_planar", *left), label("multi_planar", *right), **how)


def _planes_beat_none(*cells: tuple[int, int]) -> list[Claim]:
    return [_above(f"n_a={a}, n_t={t}: training planes beat none", (a, t), (a, 0)) for a, t in cells]


def _planar_beats_3d(*metrics: str) -> list[Claim]:
    text = "{}, n_a={}, n_t={}: multi-planar above 3-D"
    return [
        Claim(text.format(metric, *cell), metric, label("multi_planar", *cell), label("unet_3d", *cell))
        for metric in metrics
        for cell in _SPARSE
    ]


_FEWER = ((16, 0), (4, 512))
_MITOCHONDRIA = (
    *(_above(f"Dice grows with n_a, n_t={n}", (16, n), (4, n)) for n in (0, 128, 512)),
    *(_above(f"Dice grows with n_t, n_a={n}", (n, 512), (n, 128)) for n in _CORNERS),
    *_planes_beat_none((16, 128), (16, 512)),
    _above("n_a=4, n_t=512 at most 0.01 below n_a=16, n_t=0", (4, 512), (16, 0), margin=-0.01),
    _above(
        "with more than 70 % fewer annotated pixels", *_FEWER, LOG_ANNOTATED, margin=_SEVENTY_PERCENT_FEWER
    ),
    _above("the Dice of n_a=4, n_t=0 varies most", (4, 0), (16, 512), statistic="std"),
    _above("the Dice varies less with more planes", (4, 128), (16, 512), statistic="std"),
    *_planar_beats_3d("dice", "sensitivity", "specificity"),
)

_CARDIAC = (
    *(_above(f"Dice grows with n_a, n_t={n}", (16, n), (4, n)) for n in (128, 512)),
    *(_above(f"n_a={n}: n_t=512 at most 0.02 above 128", (n, 128), (n, 512), margin=-0.02) for n in _CORNERS),
    *_planes_beat_none((4, 512), (16, 512)),
    *_planar_beats_3d("dice"),
)

_GAINS = {
    "annotation planes gain more on cardiac MR": ("cardiac", "mitochondria", "n_a=16", "n_a=4"),
    "training planes gain more on electron micrographs": ("mitochondria", "cardiac", "n_t=512", "n_t=128"),
}


def _table(dataset: Dataset, claims: tuple[Claim, ...], text: str) -> Table:
    return Table(
        caption=f"Dice, sensitivity and specificity on held-out volumes, {text}: mean (std) over repeats, by "
        "annotation planes n_a and training planes n_t of the paper; presets but `paper` divide these "
        "(`grid.annotation_divisor`, `grid.training_divisor`).",
        metrics=("dice", "sensitivity", "specificity", ANNOTATED),
        rows=functools.partial(rows, dataset),
        claims=claims,
        figures=figures.draw_figures,
    )


TABLES = {
    "mitochondria": _table("mitochondria", _MITOCHONDRIA, "electron micrographs (Figs. 3 and 4)"),
    "cardiac": _table("cardiac", _CARDIAC, "cardiac MR (section 4)"),
    "gains": Table(
        caption="What four times as many annotation planes n_a, or training planes n_t, gain on both data "
        "sets: Dice of the multi-planar U-Net, mean (std) over the repeats of two cells, which have the "
        "paper's n_t = 128 and 512, or n_a = 4 and 16. The paper's are those of its fits of equation (1), "
        "whose slopes are the gains divided by log 4.",
        metrics=("dice",),
        rows=_pooled_rows,
        claims=tuple(
            Claim(text, "dice", f"{more} {many}", f"{less} {many}", over=(f"{more} {few}", f"{less} {few}"))
            for text, (more, less, many, few) in _GAINS.items()
        ),
    ),
}
