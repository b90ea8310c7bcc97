"""Tables 2 and 3 of the paper, its claims, and both readings of its columns."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from experiments.contract import Claim, Comparison, Published, Row, Table, read_published
from experiments.fsnet import figures
from experiments.fsnet.config import Config, Method, ScenarioName, choose
from experiments.fsnet.evaluate import MEAN

_LABELS: dict[Method, str] = {
    "unet": "U-Net",
    "pretraining": "Pre-training",
    "joint": "Joint training",
    "fsnet": "FS-Net",
    "no_coding": "FS-Net w/o channel coding",
    "no_module": "FS-Net w/o FS-module",
    "no_weights": "FS-Net w/o weighted loss",
}

_TABLE2: tuple[Method, ...] = ("unet", "pretraining", "fsnet")
_TABLE3: tuple[Method, ...] = ("fsnet", "joint", "no_coding", "no_module", "no_weights")
_HEART, _SWAPPED, _BRAIN = ("BP", "VM"), ("VM", "BP"), ("WM",)


def _rows(
    preset: Config, scenario: ScenarioName, methods: tuple[Method, ...], columns: tuple[str, ...]
) -> tuple[Row, ...]:
    """Rows beside what Tables 2 and 3 print under BP, VM and WM; `columns` says how hearts' two are read."""
    read = columns if scenario == "heart" else _HEART
    printed = read_published(Path(__file__).with_name("published.csv"), (*read, *_BRAIN))
    return tuple(
        Row(
            _LABELS[method],
            (replace(choose(preset, scenario), method=method),),
            {name: printed[_LABELS[method]][name] for name in columns},
        )
        for method in methods
    )


def _above(metric: str, better: Method, worse: Method) -> Claim:
    left, right = _LABELS[better], _LABELS[worse]
    return Claim(f"{metric}: {left} is above {right}", metric, left, right)


def _claims_2(metric: str) -> tuple[Claim, ...]:
    pairs: tuple[tuple[Method, Method], ...] = (
        ("fsnet", "unet"),
        ("fsnet", "pretraining"),
        ("pretraining", "unet"),
    )
    return tuple(_above(metric, *pair) for pair in pairs)


def _claims_3(metric: str) -> tuple[Claim, ...]:
    others: tuple[Method, ...] = ("joint", "no_coding", "no_module", "no_weights")
    return (
        *(_above(metric, "fsnet", other) for other in others),
        # "The effect of weighted loss function is the most obvious"; printed VM says no.
        _above(metric, "no_module", "no_weights"),
        _above(metric, "no_coding", "no_weights"),
    )


def _heart_table(number: int, columns: tuple[str, str], note: str) -> Table:
    methods, claims = ((_TABLE2, _claims_2), (_TABLE3, _claims_3))[number - 2]
    what = "Dice in percent on the test cases of HVSMR, mean (std) over cases"
    return Table(
        caption=f"{what}; {'expanded by M&Ms, the same target' if number == 2 else 'ablations'}. {note}",
        metrics=_HEART,
        rows=lambda preset: _rows(preset, "heart", methods, columns),
        claims=tuple(claim for metric in _HEART for claim in claims(metric)),
        comparisons=tuple(Comparison(metric, "FS-Net", "greater") for metric in _HEART),
        figures=figures.draw_methods,
    )


def _gain_rows(preset: Config) -> tuple[Row, ...]:
    """Table 2 in both scenarios, under the mean of the printed columns, whichever of them is which."""
    hearts, brains = _rows(preset, "heart", _TABLE2, _HEART), _rows(preset, "brain", _TABLE2, _BRAIN)
    return tuple(
        replace(row, label=f"{scenario}: {row.label}", published={MEAN: _mean(row.published)})
        for scenario, rows in (("heart", hearts), ("brain", brains))
        for row in rows
    )


def _mean(printed: Mapping[str, Published]) -> Published:
    return Published(sum(one.mean for one in printed.values()) / len(printed))


def _gains_more(other: str) -> Claim:
    text = f"over {other} FS-Net gains more by data of the same target than by those of another one"
    return Claim(text, MEAN, "heart: FS-Net", "brain: FS-Net", over=(f"heart: {other}", f"brain: {other}"))


_AS_PRINTED = "Columns as printed, where BP and VM are probably swapped (the tables named -swapped)."
_OTHER_WAY = "The printed columns swapped: blood pool is the easier class in all other results on HVSMR."

TABLES = {
    "table2": _heart_table(2, _HEART, _AS_PRINTED),
    "table2-swapped": _heart_table(2, _SWAPPED, _OTHER_WAY),
    "table2-brain": Table(
        caption="Dice in percent on the test cases of WMH, mean (std) over cases; expanded by BraTS, another "
        "target.",
        metrics=_BRAIN,
        rows=lambda preset: _rows(preset, "brain", _TABLE2, _BRAIN),
        claims=_claims_2("WM"),
        comparisons=(Comparison("WM", "FS-Net", "greater"),),
        figures=figures.draw_methods,
    ),
    "table2-gains": Table(
        caption="Dice in percent, mean of the classes, in both scenarios of Table 2: for the gains. The "
        "paper's are means of its columns.",
        metrics=(MEAN,),
        rows=_gain_rows,
        claims=(_gains_more("U-Net"), _gains_more("Pre-training")),
    ),
    "table3": _heart_table(3, _HEART, _AS_PRINTED),
    "table3-swapped": _heart_table(3, _SWAPPED, _OTHER_WAY),
}
