"""A table of a paper beside ours: values, verdicts, and how they are written out."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["holds", "tied", "fails"]

_SMALL = 0.005
"""Smaller means, such as learning rates, are written with two significant digits."""


@dataclass(frozen=True)
class Cell:
    """A value of a table.

    Attributes:
        mean: over `n` values.
        std: sample standard deviation of those values, None where there is none.
        n: how many values; None where a paper does not say.
        undefined: how many cases have no value, and are not among the `n`.
    """

    mean: float
    std: float | None = None
    n: int | None = None
    undefined: int = 0

    def __str__(self) -> str:
        spread = "" if self.std is None else f" ({self.std:.2f})"
        missing = f", {self.undefined} undefined" if self.undefined else ""
        digits = ".2f" if not self.mean or abs(self.mean) >= _SMALL else ".2g"
        return f"{self.mean:{digits}}{spread}{missing}"


@dataclass(frozen=True)
class ReportRow:
    """A row: the paper's values and ours, by metric."""

    label: str
    published: Mapping[str, Cell]
    ours: Mapping[str, Cell]


@dataclass(frozen=True)
class JudgedClaim:
    """A claim of the paper with its verdict on our data and the numbers behind it."""

    text: str
    verdict: Verdict
    numbers: Mapping[str, float | int]


@dataclass(frozen=True)
class PairedTest:
    """A Wilcoxon signed-rank test between two rows over paired cases.

    Attributes:
        metric: which metric.
        first: label of the row that is compared.
        second: label of the row that it is compared with.
        alternative: "two-sided", "greater" (first above second) or "less".
        num_cases: how many pairs.
        p_value: of the test.
        p_corrected: after the Bonferroni correction.
    """

    metric: str
    first: str
    second: str
    alternative: str
    num_cases: int
    p_value: float
    p_corrected: float


@dataclass(frozen=True)
class TableReport:
    """Everything that the written forms of a table show.

    Attributes:
        provenance: data, device, jax, commit, date and whatever else says where the numbers come from.
    """

    paper: str
    table: str
    caption: str
    preset: str
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    rows: tuple[ReportRow, ...]
    claims: tuple[JudgedClaim, ...] = ()
    tests: tuple[PairedTest, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def to_json(report: TableReport) -> str:
    """The report as JSON, its provenance at the top level."""
    content = dataclasses.asdict(report)
    provenance = content.pop("provenance")
    head = {name: content.pop(name) for name in ("paper", "table", "preset")}
    return json.dumps({**head, **provenance, **content}, indent=1, default=float) + "\n"


def to_csv(report: TableReport) -> str:
    """One line per row, metric and source: label, metric, source, mean, std, n, undefined."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["label", "metric", "source", "mean", "std", "n", "undefined"])
    for row in report.rows:
        for metric in report.metrics:
            for source, cells in (("paper", row.published), ("ours", row.ours)):
                if metric in cells:
                    cell = cells[metric]
                    writer.writerow([row.label, metric, source, cell.mean, cell.std, cell.n, cell.undefined])
    return out.getvalue()


def header(report: TableReport) -> list[str]:
    """The column titles: each metric twice, the paper's and ours."""
    return ["", *(f"{metric}, {source}" for metric in report.metrics for source in ("paper", "ours"))]


def body(report: TableReport) -> list[list[str]]:
    """The cells of each row under `header`, as text; "-" where there is no value."""
    return [
        [row.label, *(str(cells.get(m, "-")) for m in report.metrics for cells in (row.published, row.ours))]
        for row in report.rows
    ]


def describe_source(report: TableReport) -> str:
    """One sentence that says where our numbers come from."""
    facts = {**report.provenance, "preset": report.preset, "seeds": " ".join(map(str, report.seeds))}
    return "Ours: " + ", ".join(f"{name} {value}" for name, value in facts.items()) + "."


def describe_claim(claim: JudgedClaim) -> str:
    """The claim's text, its verdict, and the numbers behind it."""
    numbers = ", ".join(f"{name} {_number(value)}" for name, value in claim.numbers.items())
    return f"{claim.verdict}: {claim.text} ({numbers})"


def describe_test(test: PairedTest) -> str:
    """The comparison and its p-values."""
    return (
        f"{test.metric}: {test.first} against {test.second} ({test.alternative}, {test.num_cases} cases): "
        f"p = {test.p_value:.2g}, corrected {test.p_corrected:.2g}"
    )


def to_markdown(report: TableReport) -> str:
    """The report as Markdown."""
    columns = header(report)
    lines = [f"## {report.paper}, {report.table}", "", report.caption, ""]
    lines += [_markdown_row(columns), _markdown_row(["---"] * len(columns))]
    lines += [_markdown_row(cells) for cells in body(report)]
    lines += ["", describe_source(report), ""]
    if report.claims:
        lines += ["Claims of the paper, judged on our runs:", ""]
        lines += [f"- {describe_claim(claim)}" for claim in report.claims] + [""]
    if report.tests:
        lines += ["Wilcoxon signed-rank tests, Bonferroni-corrected:", ""]
        lines += [f"- {describe_test(test)}" for test in report.tests] + [""]
    return "\n".join(lines)


def add_heading(report: TableReport, title: str, text: str) -> str:
    """Puts the table's name, a title and where our numbers come from above Markdown that goes with it."""
    return f"## {report.paper}, {report.table}: {title}\n\n{describe_source(report)}\n\n{text}"


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | int) -> str:
    return f"{value:.0f}" if math.isfinite(value) and value == int(value) else f"{value:.3g}"
