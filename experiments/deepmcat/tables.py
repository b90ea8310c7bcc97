"""Table 1 of the paper with the baselines that it lacks, Figures 2 and 3, and the claims."""

from dataclasses import replace
from typing import Any

from experiments.contract import Claim, Published, Row, Table
from experiments.deepmcat import figures
from experiments.deepmcat.config import PRESETS, Config

_PRINTED = ("nmi previous", "nmi labels", "purity")
_OTHERS = ("purity unaugmented", "nmi labels ceiling", "purity by chance", "ami labels", "clusters")

# Set: images in the paper, their share of the preset's in other presets, classes, the printed numbers.
_SETS = {
    "(i)": (47_637, 0.5, 3, (0.675, 0.519, 0.997)),
    "(ii)": (192_272, 2.0, 13, (0.782, 0.605, 0.991)),
    "(iii)": (23_943, 1.0, 13, (0.745, 0.609, 0.994)),
}
_BASELINES: dict[str, dict[str, Any]] = {
    "untrained": {"num_epochs": 0},
    "pixels": {"features": "pixels", "num_epochs": 0},
    "PCA": {"features": "pca", "num_epochs": 0},
}
_LONGER = 5
"""Figure 3 trains as many times longer as the paper's 1000 epochs against 200."""


def set_config(preset: Config, name: str) -> Config:
    """The config of one set: the paper's number of images where the preset has it, else in proportion."""
    num_images, share, num_classes, _ = _SETS[name]
    if preset.num_images != PRESETS["paper"].num_images:
        num_images = max(int(preset.num_images * share), preset.clusters_per_class * num_classes)
    return replace(preset, num_images=num_images, num_classes=num_classes)


def rows(preset: Config) -> tuple[Row, ...]:
    """For each set the paper's method, k-means without any training, and on features learned from labels."""
    found = []
    for name, (*_, printed) in _SETS.items():
        config = set_config(preset, name)
        published = {metric: Published(value) for metric, value in zip(_PRINTED, printed, strict=True)}
        found.append(Row(f"{name} DeepMCAT", (config,), published))
        found += [
            Row(f"{name} {label}", (replace(config, **change),)) for label, change in _BASELINES.items()
        ]
        # Labels are learned sooner than clusters that change.
        bound = replace(config, targets="labels", num_epochs=max(config.num_epochs // 3, 1))
        found.append(Row(f"{name} supervised", (bound,)))
    return tuple(found)


def stability_rows(preset: Config) -> tuple[Row, ...]:
    """Set (iii), as long as in Table 1 and five times longer."""
    config = set_config(preset, "(iii)")
    longer = replace(config, num_epochs=_LONGER * preset.num_epochs)
    return (Row("(iii) DeepMCAT", (config,)), Row("(iii) longer", (longer,)))


_CLAIMS = (
    *(
        Claim(f"{name}: {metric} is higher than for {other}", metric, f"{name} DeepMCAT", f"{name} {other}")
        for name in _SETS
        for metric in ("purity", "ami labels")
        for other in _BASELINES
    ),
    Claim("(iii) is as pure as (ii), within 0.01", "purity", "(iii) DeepMCAT", "(ii) DeepMCAT", margin=-0.01),
    Claim("(iii): training makes clusterings agree", "nmi previous", "(iii) DeepMCAT", "(iii) untrained"),
)
_STABLE = (
    Claim("purity falls by less than 0.01", "purity", "(iii) longer", "(iii) DeepMCAT", margin=-0.01),
    Claim("NMI of t and t - 1 does not fall", "nmi previous", "(iii) longer", "(iii) DeepMCAT", margin=-0.05),
)

TABLES = {
    "table1": Table(
        caption="Clusters against kinds of images: (i) 3 balanced classes, 24 clusters; (ii), (iii) 13 "
        "unequal classes, 104 clusters. Below each set, k-means without training, and on features that were "
        "learned from the labels.",
        metrics=(*_PRINTED, *_OTHERS),
        rows=rows,
        claims=_CLAIMS,
        figures=figures.draw_table1,
    ),
    "fig3": Table(
        caption="Set (iii) trained as long as in Table 1, and five times longer.",
        metrics=(*_PRINTED, *_OTHERS),
        rows=stability_rows,
        claims=_STABLE,
        figures=figures.draw_stability,
    ),
}
