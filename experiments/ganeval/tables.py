"""Tables 3 and 4 and Fig. 2 of the paper and their claims."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.contract import Claim, Published, Row, Table, read_published
from experiments.ganeval import figures
from experiments.ganeval.config import Config
from experiments.ganeval.evaluate import HYPERPARAMETERS, JUDGED, column
from jaxmed.metrics.set_comparison import MEASURES, MODES

LABELS: dict[str, str] = {"dcgan": "DCGAN", "lsgan": "LSGAN", "wgan_gp": "WGAN-GP", "ac_gan": "AC-GAN"}
CLASSES = ("adaptive", "non-adaptive")


def _columns(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(column(name, label) for label in CLASSES for name in names)


def _rows(table: str, preset: Config, columns: Sequence[str]) -> tuple[Row, ...]:
    """A row for each line of printed numbers, which starts with the method."""
    printed = read_published(Path(__file__).with_name(f"published_{table}.csv"), columns)
    return tuple(
        Row(LABELS[method], (replace(preset, method=method),), numbers) for method, numbers in printed.items()
    )


def _untrained(own: Config) -> Config:
    nothing = {"gan": replace(own.gan, num_epochs=0), "judge": replace(own.judge, num_runs=1)}
    return replace(own, num_steps=0, num_patients=(3, 3), num_slices=3, **nothing)


def _rows_2(preset: Config) -> tuple[Row, ...]:
    def row(label: str, method: str, compared: str) -> Row:
        classes = CLASSES if compared == "S_R" else ()
        near = {column("median MS-SSIM", name): Published(0.8) for name in classes}
        return Row(label, (replace(preset, method=method, compared=compared),), near)

    rows = [row(kind, "dcgan", kind) for kind in ("R_R", "R_R other patients")]
    for method, label in LABELS.items():
        rows += [row(f"{label} {kind}", method, kind) for kind in ("S_S", "S_R")]
    return tuple(rows)


def _above(metric: str, left: str, rights: Iterable[str], why: str) -> list[Claim]:
    return [Claim(f"{metric}: {left} above {right}: {why}", metric, left, right) for right in rights]


def _claims_4() -> tuple[Claim, ...]:
    """Lower is better everywhere: what can be told apart less is nearer to the real images."""
    best = {column(name, label): "DCGAN" for name in JUDGED for label in CLASSES}
    best |= {column(name, "adaptive"): "AC-GAN" for name in ("recall", "Mahalanobis distance")}
    claims = []
    for metric, winner in best.items():
        others = [label for label in LABELS.values() if label != winner]
        claims += [claim for other in others for claim in _above(metric, other, [winner], "the best")]
        # By the Mahalanobis distance LSGAN is not the worst of all.
        if "Mahalanobis" not in metric:
            claims += _above(metric, "LSGAN", [label for label in others if label != "LSGAN"], "the worst")
    return tuple(claims)


def _claims_2() -> tuple[Claim, ...]:
    claims = []
    for metric in (column("median MS-SSIM", name) for name in CLASSES):
        synthetic, to_real = ([f"{label} {kind}" for label in LABELS.values()] for kind in ("S_S", "S_R"))
        claims += _above(metric, "R_R", synthetic, "no mode collapse")
        claims += _above(metric, "R_R", to_real, "no memorisation")
        for pair in zip(synthetic, to_real, strict=True):
            claims += _above(metric, pair[0], pair[1:], "nearer to each other than to real images")
    return tuple(claims)


TABLES = {
    "table3": Table(
        caption="Hyperparameters: learning rates, Adam's betas, kernel sizes, size of the latent, as printed "
        "and as the networks are made; nothing is trained. The demo preset multiplies the rates.",
        metrics=HYPERPARAMETERS,
        rows=lambda preset: _rows("table3", _untrained(preset), HYPERPARAMETERS),
    ),
    "table4": Table(
        caption="CNNs that tell synthetic from real test images, mean (std) over them: recall of synthetic "
        "images, specificity, and distances of both in the last dense layer: the mean Mahalanobis distance "
        "(covariance shrunk as Ledoit and Wolf's) and the squared Frechet distance. Lower is better.",
        metrics=_columns(JUDGED),
        rows=lambda preset: _rows("table4", preset, _columns(JUDGED)),
        claims=_claims_4(),
        figures=figures.draw_figures,
    ),
    "figure2": Table(
        caption="Median over images of the largest similarity to another image: MS-SSIM (as many scales as "
        "fit a window of 7 pixels) and normalised cross-correlation. The paper says all of S_R are near 0.8.",
        metrics=_columns([f"median {measure}" for measure in MEASURES]),
        rows=_rows_2,
        claims=_claims_2(),
    ),
    "verdicts": Table(
        caption="Failure modes: share of synthetic images that are more similar to a real one (memorisation) "
        "or another synthetic one (mode collapse) than all but 1 % of the real images are to each other, and "
        "the probability that such a similarity exceeds one between real images. Above 0.05 it is a finding.",
        metrics=_columns([f"{mode} {what}" for mode in MODES for what in ("share", "superiority")]),
        rows=lambda preset: tuple(
            Row(label, (replace(preset, method=method),)) for method, label in LABELS.items()
        ),
    ),
}
