"""Tables 1 and 2 of the paper and their claims."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.boxseg import figures
from experiments.boxseg.config import Config
from experiments.contract import Claim, Published, Row, Table

_FULL, _TIGHT, _LOOSE = "full supervision", "2D tight", "3D non-tight"
_SIZES, _COUNTS = (16, 32), (5, 10, 20)

_AS_GOOD = -0.02  # twice the gap that the paper calls comparable


def corrected(size: int, count: int) -> str:
    """Label of a row with corrected boxes; p is that of the paper, the preset's own in proportion."""
    return f"3D corrected, p = {size}, {count} images"


def rows(metric: str, preset: Config) -> tuple[Row, ...]:
    """One row for each printed line (method, p, images, mean and std of Dice and of IoU), over the folds."""
    first = 3 if metric == "dice" else 5
    found = []
    for line in Path(__file__).with_name("published.csv").read_text().splitlines():
        method, size, count, *_ = fields = line.split(",")
        label = {"full": _FULL, "tight": _TIGHT, "loose": _LOOSE}.get(method)
        change: dict[str, Any] = {"method": method}
        if label is None:
            label = corrected(int(size), int(count))
            # The preset's own patch is the paper's of 16 pixels, its own count that of 20 images.
            change["patch_size"] = preset.patch_size * int(size) // 16
            change["num_labelled"] = max(1, preset.num_labelled * int(count) // 20)
        configs = tuple(replace(preset, fold=fold, **change) for fold in range(preset.num_folds))
        printed = {metric: Published(*map(float, fields[first : first + 2]))} if fields[first] else {}
        found.append(Row(label, configs, printed))
    return tuple(found)


def _dice_claims() -> tuple[Claim, ...]:
    claims = [
        Claim("full supervision is no worse than tight boxes", "dice", _FULL, _TIGHT, margin=_AS_GOOD),
        Claim("tight boxes beat 3-D boxes by 0.3 and more", "dice", _TIGHT, _LOOSE, margin=0.3),
    ]
    for size in _SIZES:
        five, ten, twenty = (corrected(size, count) for count in _COUNTS)
        as_good = f"p = {size}: with 20 images it is as good as tight boxes"
        claims += [
            Claim(f"p = {size}: correction with 5 images helps", "dice", five, _LOOSE),
            Claim(f"p = {size}: 10 images are better than 5", "dice", ten, five),
            Claim(f"p = {size}: 20 images are better than 10", "dice", twenty, ten),
            Claim(as_good, "dice", twenty, _TIGHT, margin=_AS_GOOD),
        ]
    for n in _COUNTS:
        text = f"p = 16 is better than 32 with {n} images"
        claims.append(Claim(text, "dice", corrected(16, n), corrected(32, n)))
    return tuple(claims)


def _iou_claims() -> tuple[Claim, ...]:
    claims = []
    for size in _SIZES:
        five, ten, twenty = (corrected(size, count) for count in _COUNTS)
        no_worse = f"p = {size}: 10 images are no worse than 5"
        claims += [
            Claim(f"p = {size}: correction with 5 images helps", "box iou", five, _LOOSE),
            Claim(no_worse, "box iou", ten, five, margin=_AS_GOOD),
            Claim(f"p = {size}: 20 images are better than 5", "box iou", twenty, five),
        ]
    return tuple(claims)


TABLES = {
    "table1": Table(
        caption="Dice of test volumes by the labels of the training volumes, mean (std) over the test cases "
        "of all test sets.",
        metrics=("dice",),
        rows=lambda preset: rows("dice", preset),
        claims=_dice_claims(),
        figures=figures.draw_figures,
    ),
    "table2": Table(
        caption="Intersection over union of boxes with the tight boxes of slices, mean (std) over the test "
        "cases of all test sets. Tight boxes have 1 by definition, and full supervision needs none.",
        metrics=("box iou",),
        rows=lambda preset: rows("box iou", preset),
        claims=_iou_claims(),
    ),
}
