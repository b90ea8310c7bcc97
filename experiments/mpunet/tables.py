"""The grids of Figs. 3 and 4 and of the cardiac data set as tables, and their claims."""

import functools
from dataclasses import replace

from experiments.contract import Claim, Published, Row, Table
from experiments.mpunet import figures
from experiments.mpunet.config import NAMES, Config, Dataset, Method, label
from experiments.mpunet.evaluate import ANNOTATED, LOG_ANNOTATED

_PRINTED = {
    (4, 0): Published(0.5952, 0.2826),
    (16, 0): Published(0.8955),
    (4, 512): Published(0.8949),
    (16, 512): Published(0.9228),
}
"""Dice of the multi-planar U-Net on mitochondria; the other cells are colours in Fig. 3 without numbers."""

_SEVENTY_PERCENT_FEWER = 0.523
"""-log10(1 - 0.7)."""

_CORNERS = (4, 16)
_SPARSE = tuple((n_a, n_t) for n_a in _CORNERS for n_t in (128, 512))


def rows(dataset: Dataset, preset: Config) -> tuple[Row, ...]:
    """Every cell of the preset's grid with both methods, under the paper's numbers of planes."""
    cells = [(n_a, n_t) for n_a in preset.grid.annotation_planes for n_t in preset.grid.training_planes]

    def printed(method: Method, cell: tuple[int, int]) -> dict[str, Published]:
        known = dataset == "mitochondria" and method == "multi_planar" and cell in _PRINTED
        return {"dice": _PRINTED[cell]} if known else {}

    return tuple(
        Row(label(method, *cell), (_config(dataset, method, *cell, preset),), printed(method, cell))
        for method in NAMES
        for cell in cells
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


def _planar(n_a: int, n_t: int) -> str:
    return label("multi_planar", n_a, n_t)


def _grows_with_n_a(*n_ts: int) -> list[Claim]:
    return [Claim(f"Dice grows with n_a, n_t={n}", "dice", _planar(16, n), _planar(4, n)) for n in n_ts]


def _planes_beat_none(*cells: tuple[int, int]) -> list[Claim]:
    text = "n_a={}, n_t={}: training planes beat none"
    return [Claim(text.format(*cell), "dice", _planar(*cell), _planar(cell[0], 0)) for cell in cells]


def _planar_beats_3d(*metrics: str) -> list[Claim]:
    text = "{}, n_a={}, n_t={}: multi-planar above 3-D"
    return [
        Claim(text.format(metric, *cell), metric, _planar(*cell), label("unet_3d", *cell))
        for metric in metrics
        for cell in _SPARSE
    ]


_FEWER = (_planar(16, 0), _planar(4, 512))
_MITOCHONDRIA = (
    *_grows_with_n_a(0, 128, 512),
    *(Claim(f"Dice grows with n_t, n_a={n}", "dice", _planar(n, 512), _planar(n, 128)) for n in _CORNERS),
    *_planes_beat_none(*(cell for cell in _SPARSE if cell[0] > 4)),
    Claim("n_a=4, n_t=512 at most 0.01 below n_a=16, n_t=0", "dice", _FEWER[1], _FEWER[0], margin=-0.01),
    Claim(
        "with more than 70 % fewer annotated pixels", LOG_ANNOTATED, *_FEWER, margin=_SEVENTY_PERCENT_FEWER
    ),
    Claim("the Dice of n_a=4, n_t=0 varies most", "dice", _planar(4, 0), _planar(16, 512), "std"),
    Claim("the Dice varies less with more planes", "dice", _planar(4, 128), _planar(16, 512), "std"),
    *_planar_beats_3d("dice", "sensitivity", "specificity"),
)

_CARDIAC = (
    *_grows_with_n_a(128, 512),
    *(
        Claim(
            f"n_a={n}: n_t=512 at most 0.02 above 128", "dice", _planar(n, 128), _planar(n, 512), margin=-0.02
        )
        for n in _CORNERS
    ),
    *_planes_beat_none((4, 512), (16, 512)),
    *_planar_beats_3d("dice"),
)


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
}
