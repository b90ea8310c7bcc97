"""Tables 2 and 3 of the paper and their claims, and the same of one's own images."""

from dataclasses import replace
from pathlib import Path

from experiments.contract import Claim, Row, Table, read_published
from experiments.rhvae import figures
from experiments.rhvae.config import Config, Method
from experiments.rhvae.evaluate import metric_name

_COUNTS = (200, 500, 1000, 2000)

_FACTORS = (5, 10, 15)

_SETS = ("balanced", "unbalanced", "varied")

_KINDS = ("mlp", "cnn", "densenet")

_METHODS: dict[str, Method] = {"VAE": "vae", "RHVAE": "rhvae", "OURS": "manifold"}


def _columns(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(metric_name(name, mode) for mode in ("with raw", "alone") for name in names)


def _rows(table: str, preset: Config, columns: tuple[str, ...]) -> tuple[Row, ...]:
    printed = read_published(Path(__file__).with_name(f"published_{table}.csv"), columns)
    return tuple(Row(label, (_config(label, preset),), numbers) for label, numbers in printed.items())


def _config(label: str, preset: Config) -> Config:
    """The row's own settings; a preset with a smaller sampler draws at most as many images as that."""
    if label == "RAW":
        return replace(preset, method="raw")
    if label.startswith("AUG."):
        return replace(preset, method="classical", factor=int(label.removeprefix("AUG. x")))
    name, count = label.split("-")
    count = min(int(count), preset.sampler.max_samples)
    return replace(preset, method=_METHODS[name], num_samples=count)


def _alone_beats(column: str, others: tuple[str, ...], counts: tuple[int, ...]) -> list[Claim]:
    metric = metric_name(column, "alone")
    return [
        Claim(f"{column}: {n} of ours alone beat {n} of {other}", metric, f"OURS-{n}", f"{other}-{n}")
        for n in counts
        for other in others
    ]


def _claims_2() -> tuple[Claim, ...]:
    claims = []
    for name in _SETS:
        alone, with_raw = metric_name(name, "alone"), metric_name(name, "with raw")
        claims += _alone_beats(name, ("VAE", "RHVAE"), _COUNTS)
        claims += [
            Claim(f"{name}: 2000 images of ours alone beat the raw data", alone, "OURS-2000", "RAW"),
            Claim(f"{name}: 2000 alone beat 200 alone, both of ours", alone, "OURS-2000", "OURS-200"),
            Claim(f"{name}: ours beside the raw data beats the VAE's", with_raw, "OURS-2000", "VAE-2000"),
            Claim(f"{name}: ours beside the raw data beats the raw data", with_raw, "OURS-2000", "RAW"),
        ]
    claims += [
        Claim("classical x10 is below x5 on balanced digits", "balanced, with raw", "AUG. x5", "AUG. x10"),
        Claim("classical x10 is below x15 on balanced digits", "balanced, with raw", "AUG. x15", "AUG. x10"),
    ]
    return tuple(claims)


def _claims_3() -> tuple[Claim, ...]:
    claims = []
    for kind in _KINDS:
        alone, with_raw = metric_name(kind, "alone"), metric_name(kind, "with raw")
        claims += _alone_beats(kind, ("VAE",), (500,))
        claims += [
            Claim(f"{kind}: 500 images of ours alone beat the raw data", alone, "OURS-500", "RAW"),
            Claim(f"{kind}: 500 of ours beside the raw data beat the raw data", with_raw, "OURS-500", "RAW"),
        ]
    return tuple(claims)


TABLES = {
    "table2": Table(
        caption="Accuracy in percent on the test images, mean (std) over independent classifiers: trained on "
        "the raw data with the augmented ones, and on these alone (for RAW: on the raw data, in both). "
        "The paper's sets are MNIST, MNIST unbalanced and EMNIST unbalanced.",
        metrics=_columns(_SETS),
        rows=lambda preset: _rows("table2", replace(preset, source="characters"), _columns(_SETS)),
        claims=_claims_2(),
        figures=figures.draw_figures,
    ),
    "table3": Table(
        caption="Balanced accuracy in percent on the test subjects, healthy against demented, mean (std) "
        "over independent classifiers, as in Table 2. The paper's data are OASIS.",
        metrics=_columns(_KINDS),
        rows=lambda preset: _rows("table3", replace(preset, source="brains"), _columns(_KINDS)),
        claims=_claims_3(),
    ),
    "images": Table(
        caption="Balanced accuracy in percent as in Table 2, of the labelled images in one's own folder.",
        metrics=_columns(("images",)),
        rows=lambda preset: _rows("images", replace(preset, source="folder"), _columns(("images",))),
    ),
}
