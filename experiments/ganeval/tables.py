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


def _rows_2(preset: Config) -> tuple[Row, ...]:
    def row(label: str, method: str, compared: str) -> Row:
        near = {column("median MS-SSIM", name): Published(0.8) for name in CLASSES}
        config = replace(preset, method=method, compared=compared)
        return Row(label, (config,), near if compared == "S_R" else {})

    rows = [row("R_R", "dcgan", "R_R"), row("R_R other patients", "dcgan", "R_R other patients")]
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
        "and as the networks are trained. The demo preset multiplies the rates.",
        metrics=HYPERPARAMETERS,
        rows=lambda preset: _rows("table3", preset, HYPERPARAMETERS),
    ),
    "table4": Table(
        caption="CNNs that tell synthetic from real test images, mean (std) over the CNNs: recall of "
        "synthetic ones, specificity (real ones taken for real), and distances of both in the last dense "
        "layer: the mean Mahalanobis distance (its covariance shrunk as Ledoit and Wolf's) and the squared "
        "Frechet distance. Lower is better.",
        metrics=_columns(JUDGED),
        rows=lambda preset: _rows("table4", preset, _columns(JUDGED)),
        claims=_claims_4(),
        figures=figures.draw_figures,
    ),
    "figure2": Table(
        caption="Median over images of the largest similarity to another image: MS-SSIM (with as many "
        "scales as a window of 7 pixels fits into) and normalised cross-correlation. The paper prints no "
        "numbers, but says that all medians of S_R are near 0.8.",
        metrics=_columns([f"median {measure}" for measure in MEASURES]),
        rows=_rows_2,
        claims=_claims_2(),
    ),
    "verdicts": Table(
        caption="Failure modes: share of synthetic images that are more similar to a real one (memorisation) "
        "or to another synthetic one (mode collapse) than all but 1 % of the real images are to each other, "
        "and the probability that such a similarity exceeds one between real images. A share of 0.05 that is "
        "not chance is a finding.",
        metrics=_columns([f"{mode} {what}" for mode in MODES for what in ("share", "superiority")]),
        rows=lambda preset: tuple(
            Row(label, (replace(preset, method=method),)) for method, label in LABELS.items()
        ),
    ),
}
