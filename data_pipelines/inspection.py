"""A report on a data set before anything is trained on it: what is there, and what is wrong with it."""

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_pipelines.example import Example
from data_pipelines.progress import make_progress


class Case(Protocol):
    """Anything with a name that reads one volume, or several of one subject."""

    @property
    def subject(self) -> str:
        """Name of the case."""
        ...

    def read(self) -> Example | tuple[Example, ...]:
        """Reads the files."""
        ...


@dataclass(frozen=True)
class VolumeSummary:
    """What one volume holds.

    Attributes:
        subject: name of the case.
        shape: voxels along depth, height and width.
        spacing_mm: voxel distances along the same axes.
        minimum: smallest image value; HU for CT.
        maximum: largest image value.
        label_counts: each label with its number of voxels; None without a mask.
    """

    subject: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    minimum: float
    maximum: float
    label_counts: tuple[tuple[int, int], ...] | None


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        subject: name of the case.
        message: one line that names the file.
    """

    subject: str
    message: str


@dataclass(frozen=True)
class Report:
    """What `inspect_volumes` found.

    Attributes:
        num_cases: cases that were tried.
        volumes: one entry per volume that could be read.
        problems: what keeps cases from being used; a data set without any is fit for training.
        remarks: what the readers warned of.
    """

    num_cases: int
    volumes: tuple[VolumeSummary, ...]
    problems: tuple[Problem, ...]
    remarks: tuple[Problem, ...]


def inspect_volumes(cases: Sequence[Case], progress: Callable[[int, int], None] | None = None) -> Report:
    """Reads every case and reports; a case that cannot be read becomes a problem and never stops the rest.

    Args:
        cases: as the readers' `find_cases` and `find_pairs` list them.
        progress: called with the number of cases done and the number of all after each case.

    Returns:
        The report. No case at all and names that occur twice are problems too.
    """
    volumes: list[VolumeSummary] = []
    problems = _listing_problems(cases)
    remarks: list[Problem] = []
    for done, case in enumerate(cases, 1):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                volumes += _summaries(case)
            # Whatever a reader raises, memory errors included, is a finding about this case.
            except Exception as error:
                problems.append(Problem(case.subject, _one_line(error)))
        remarks += [Problem(case.subject, " ".join(str(warning.message).split())) for warning in caught]
        if progress is not None:
            progress(done, len(cases))
    return Report(len(cases), tuple(volumes), tuple(problems), tuple(remarks))


def format_report(report: Report) -> str:
    """Lays a report out as text.

    Args:
        report: as `inspect_volumes` gave it.

    Returns:
        Lines with the number of cases, ranges of shape, spacing and values, labels with their voxels, and
        each remark and problem.
    """
    lines = [f"cases: {report.num_cases}, volumes read: {len(report.volumes)}"]
    if report.volumes:
        lines += _range_lines(report.volumes) + _label_lines(report.volumes)
    lines += [f"remark: {remark.subject}: {remark.message}" for remark in report.remarks]
    lines += [f"problem: {problem.subject}: {problem.message}" for problem in report.problems]
    lines.append(f"problems: {len(report.problems)}")
    return "\n".join(lines)


def inspect_groups(groups: Mapping[str, Sequence[Case]]) -> tuple[str, int]:
    """Reads several lists of cases of one data set, showing progress, and lays their reports out as text.

    Args:
        groups: cases by what they are, such as "labelled cases".

    Returns:
        The text, a part per group, and the number of problems in all.
    """
    reports = {title: inspect_volumes(cases, make_progress(title)) for title, cases in groups.items()}
    text = "\n\n".join(f"{title}\n{format_report(report)}" for title, report in reports.items())
    return text, sum(len(report.problems) for report in reports.values())


def _listing_problems(cases: Sequence[Case]) -> list[Problem]:
    if not cases:
        return [Problem("data set", "found no case; wanted at least one")]
    counts = Counter(case.subject for case in cases)
    return [
        Problem(name, f"found {count} cases of this name; wanted one")
        for name, count in counts.items()
        if count > 1
    ]


def _summaries(case: Case) -> list[VolumeSummary]:
    read = case.read()
    return [_summary(case.subject, example) for example in (read if isinstance(read, tuple) else (read,))]


def _summary(subject: str, example: Example) -> VolumeSummary:
    label_counts = None
    if example.label is not None:
        values, counts = np.unique(example.label, return_counts=True)
        label_counts = tuple(zip(values.tolist(), counts.tolist(), strict=True))
    return VolumeSummary(
        subject=subject,
        shape=example.image.shape,
        spacing_mm=example.spacing_mm,
        minimum=float(example.image.min()),
        maximum=float(example.image.max()),
        label_counts=label_counts,
    )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"


def _range_lines(volumes: Sequence[VolumeSummary]) -> list[str]:
    lines = []
    for name, values, form in (
        ("shape", [volume.shape for volume in volumes], "d"),
        ("spacing (mm)", [volume.spacing_mm for volume in volumes], ".4g"),
    ):
        axes = itertools.zip_longest(*values, fillvalue=0)
        ranges = [_range(min(axis), max(axis), form) for axis in axes]
        lines.append(f"{name}, depth x height x width: {' x '.join(ranges)}")
    lowest = min(volume.minimum for volume in volumes)
    highest = max(volume.maximum for volume in volumes)
    lines.append(f"image values: {lowest:g} to {highest:g}")
    odd = [volume.subject for volume in volumes if volume.minimum == volume.maximum]
    return lines + [f"constant image: {subject}" for subject in odd]


def _range(lowest: float, highest: float, form: str) -> str:
    return f"{lowest:{form}}" if lowest == highest else f"{lowest:{form}}..{highest:{form}}"


def _label_lines(volumes: Sequence[VolumeSummary]) -> list[str]:
    voxels: Counter[int] = Counter()
    holders: Counter[int] = Counter()
    masked = [volume.label_counts for volume in volumes if volume.label_counts is not None]
    for label, count in itertools.chain.from_iterable(masked):
        voxels[label] += count
        holders[label] += 1
    lines = [f"volumes with a mask: {len(masked)}"]
    return lines + [
        f"label {label}: {voxels[label]} voxels, present in {holders[label]} of {len(masked)} masks"
        for label in sorted(voxels)
    ]
