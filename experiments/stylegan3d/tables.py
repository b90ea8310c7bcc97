"""Tables 1 and 2 of the paper, what its Figures 4 and 5 show in numbers, and the claims."""

from dataclasses import replace
from pathlib import Path

from experiments.contract import Claim, Published, Row, Table, read_published
from experiments.stylegan3d import figures
from experiments.stylegan3d.config import SIZES, Config, Mixed, Networks, Projected
from experiments.stylegan3d.evaluate import ACCURACY, FRECHET

_TABLE1 = {"2mm-fd96": 6.6, "2mm-fd64": 3.0, "2mm-fd32": 0.9, "2mm-fd16": 0.2, "1mm-fd16": 0.2}
_COUNT = "parameters, millions"
_GENERATED, _REAL = ("2mm-fd16", "2mm-fd32", "2mm-fd64", "2mm-fd96"), "2mm-Real"
_FRECHET = tuple(FRECHET.values())


def _rows_1(preset: Config) -> tuple[Row, ...]:
    """The paper's own sizes, whatever the preset's; nothing is trained and next to no head is drawn."""
    nothing = replace(preset, study="parameters", num_steps=0, num_train=2, num_test=2)
    return tuple(
        Row(label, (replace(nothing, networks=SIZES[label]),), {_COUNT: Published(printed)})
        for label, printed in _TABLE1.items()
    )


def _rows_2(preset: Config) -> tuple[Row, ...]:
    rows = []
    columns = ("bMMD2", "MS-SSIM", *_FRECHET)
    printed = read_published(Path(__file__).with_name("published_table2.csv"), columns)
    for label, numbers in printed.items():
        config = replace(preset, study="real", num_steps=0)
        if label != _REAL:
            config = replace(preset, study="samples", networks=_scale(preset.networks, label))
        rows.append(Row(label, (config,), numbers))
    return tuple(rows)


def _scale(own: Networks, label: str) -> Networks:
    """A row's networks at the preset's scale, whose own are those of 2mm-fd96."""
    full, row = SIZES["2mm-fd96"], SIZES[label]
    width, latent_width = row.width * own.width // full.width, row.latent_width * own.width // full.width
    return replace(own, width=max(2, width), latent_width=max(2, latent_width))


def _claims_2() -> tuple[Claim, ...]:
    claims = [
        Claim(f"{metric.split(',')[0]} of fd16 is above that of {other[4:]}", metric, "2mm-fd16", other)
        for metric in ("bMMD2", *_FRECHET)
        for other in _GENERATED[1:]
    ]
    for one in _GENERATED:
        claims += [
            Claim(f"bMMD2 of {one[4:]} is above that of real heads", "bMMD2", one, _REAL),
            Claim(f"{one[4:]} gives less variety than real heads have", "MS-SSIM", one, _REAL),
        ]
    claims += [
        Claim(f"FD-{plane} of fd64 is below that of fd96", FRECHET[plane], "2mm-fd96", "2mm-fd64")
        for plane in ("Sag", "Ax")
    ]
    claims.append(Claim("FD-Cor of fd96 is below that of fd64", FRECHET["Cor"], "2mm-fd64", "2mm-fd96"))
    return tuple(claims)


def _rows_projection(preset: Config) -> tuple[Row, ...]:
    chosen: tuple[Projected, ...] = ("mean style", "style", "style and noise")
    return tuple(Row(one, (replace(preset, study="projection", projected=one),)) for one in chosen)


def _rows_mixing(preset: Config) -> tuple[Row, ...]:
    chosen: tuple[Mixed, ...] = ("coarse", "fine")
    return tuple(Row(one, (replace(preset, study="mixing", mixed=one),)) for one in chosen)


TABLES = {
    "table1": Table(
        caption="Trainable parameters of generator and discriminator in millions, of the paper's sizes.",
        metrics=(_COUNT,),
        rows=_rows_1,
        claims=(Claim("fd32 has more parameters than fd16", _COUNT, "2mm-fd32", "2mm-fd16"),),
    ),
    "table2": Table(
        caption="Generated heads, and training heads (Real), beside unseen ones. bMMD2: mean (std) over "
        "batches; MS-SSIM: over pairs; FD: Frechet distance of the middle slices on features of a network "
        "with random weights, where the paper has FID; ventricles: over heads, measured alike in all. Rows "
        "have the paper's names; with presets other than `paper` widths are scaled down.",
        metrics=("bMMD2", "MS-SSIM", *_FRECHET, "ventricles, ml"),
        rows=_rows_2,
        claims=_claims_2(),
        figures=figures.draw_samples,
    ),
    "features": Table(
        caption="The network that `--study features` trains for Frechet and kernel distances: in how many "
        "slices of an unseen head it is right about plane and place (by chance 1 in 15), and whether the "
        "head's ventricles are larger than the median (1 in 2).",
        metrics=tuple(ACCURACY.values()),
        rows=lambda preset: (Row("feature network", (replace(preset, study="features"),)),),
    ),
    "projection": Table(
        caption="Mean squared error of unseen heads after projection (Fig. 4), voxels in [-1, 1]: of the "
        "mean training head, with a style alone, and with style and noise.",
        metrics=("MSE",),
        rows=_rows_projection,
        claims=(
            Claim("a style comes closer than the mean head", "MSE", "mean style", "style"),
            Claim("noise comes closer still", "MSE", "style", "style and noise"),
        ),
        figures=figures.draw_projection,
    ),
    "mixing": Table(
        caption="What heads change by when coarse or fine layers take the styles of another (Fig. 5): root "
        "mean square beyond a filter of two voxels, below it, and the share of the latter.",
        metrics=("coarse change", "fine change", "fine share"),
        rows=_rows_mixing,
        claims=(
            Claim("coarse styles change the shape more", "coarse change", "coarse", "fine"),
            Claim("fine styles change more detail than shape", "fine share", "fine", "coarse"),
        ),
        figures=figures.draw_mixing,
    ),
}
