"""Results of comparisons as Markdown and as a plot."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

Entry = Mapping[str, Any]
"""A comparison as `benchmarks.run` keeps it."""

_FORWARD, _GRADIENT = "forward", "forward and gradient"
_COLOURS = {"met": "tab:green", "missed": "tab:red", "": "tab:blue"}


def verdict(entry: Entry) -> str:
    """Whether the target is "met" or "missed"; empty without one, or at other sizes than it was set for."""
    if entry["max_ratio"] is None or entry["quick"]:
        return ""
    return "met" if entry["ratio"]["median"] <= entry["max_ratio"] else "missed"


def factor(ratio: float) -> str:
    """Ratio of times in words: '1.42', or '87x faster' where it is far below 1."""
    return f"{1 / ratio:.3g}x faster" if ratio < 0.2 else f"{ratio:.2f}"


def to_markdown(found: Sequence[Entry], picture: str) -> str:
    """All comparisons: times and ratios, then what was checked, tried and used.

    Args:
        found: comparisons, those that were not possible (with an error), programs with their own files.
        picture: file name of the plot.

    Returns:
        The page.
    """
    entries = [entry for entry in found if "ratio" in entry]
    lines = ["# Side by side", "", *_places(entries), ""]
    lines += [
        "Ratio: jaxmed's time over the peer's, each per item, in rounds in which both worked in turns: "
        "median [quartiles] (range). Below 1 jaxmed is faster. docs/benchmarks.md says how it is measured.",
        "",
        f"![ratios]({picture})",
        "",
    ]
    lines += _table(
        ["work", "peer", "peer's time", "jaxmed's", "ratio", "target", "verdict", "commit"],
        map(_row, entries),
    )
    lines += [f"- Not measured: {e['title']}: {e['error']}" for e in found if "error" in e]
    programs = [entry for entry in found if "program" in entry and "error" not in entry]
    lines += [f"- {e['title']}: [{e['program']}]({e['program']}), commit {e['commit']}" for e in programs]
    lines += ["", "## Where the time goes", ""]
    lines += _table(["work", "part", "peer's time", "jaxmed's", "ratio"], _part_rows(entries))
    lines += ["## That it is the same work", ""]
    lines += [
        "Before anything is timed, jaxmed takes the peer's weights and inputs. Numbers are relative "
        "differences of results, of gradients that of the worst parameter; for parameters, of their number.",
        "",
    ]
    lines += _table(["work", "differences"], ([e["title"], _numbers(e["agreement"])] for e in entries))
    lines += ["## Settings that were tried", ""]
    lines += _table(["work", "peer's settings", "jaxmed's"], map(_settings_row, entries))
    return "\n".join(lines).rstrip() + "\n"


def _places(entries: Sequence[Entry]) -> list[str]:
    places = dict.fromkeys(
        f"{e['device']}, {e['threads'] or 'all'} threads for each side, "
        + ", ".join(f"{name} {version}" for name, version in sorted(e["software"].items()))
        + f"; {e['date']}"
        for e in entries
    )
    return [f"- {place}" for place in places]


def _row(entry: Entry) -> list[str]:
    ratio, mark = entry["ratio"], verdict(entry)
    spread = (
        f"**{factor(ratio['median'])}** [{ratio['q1']:.3g} - {ratio['q3']:.3g}] "
        f"({ratio['min']:.3g} - {ratio['max']:.3g})"
    )
    target = "" if entry["max_ratio"] is None else f"at most {factor(entry['max_ratio'])}"
    return [
        entry["title"] + (" (small sizes)" if entry["quick"] else ""),
        f"{entry['peer']}, {entry['chosen']['theirs']}",
        _time(entry["seconds_per_item"]["theirs"]),
        _time(entry["seconds_per_item"]["ours"]),
        spread,
        target.replace("at most", "at least") if "faster" in target else target,
        f"{mark}: {cause(entry)}" if mark == "missed" else mark,
        entry["commit"],
    ]


def cause(entry: Entry) -> str:
    """Where a missed target is missed: the ratio of each part, or of the loss and of its gradients' share."""
    parts = entry["parts"]
    if not parts:
        return "parts not measured"
    if not {_FORWARD, _GRADIENT} <= parts.keys():
        return ", ".join(f"{name} {part['ratio']['median']:.2f}" for name, part in parts.items())
    forward, both = (
        {side: statistics.median(spent) for side, spent in parts[name]["seconds"].items()}
        for name in (_FORWARD, _GRADIENT)
    )
    backward = (both["ours"] - forward["ours"]) / (both["theirs"] - forward["theirs"])
    return f"forward {forward['ours'] / forward['theirs']:.2f}, backward {backward:.2f}"


def _part_rows(entries: Sequence[Entry]) -> list[list[str]]:
    return [
        [
            entry["title"],
            name,
            _time(part["seconds"]["theirs"], entry["items_per_run"]["theirs"]),
            _time(part["seconds"]["ours"], entry["items_per_run"]["ours"]),
            f"{part['ratio']['median']:.2f} ({part['ratio']['min']:.2f} - {part['ratio']['max']:.2f})",
        ]
        for entry in entries
        for name, part in entry["parts"].items()
    ]


def _settings_row(entry: Entry) -> list[str]:
    def describe(side: str) -> str:
        found = entry["settings"][side]
        return "; ".join(
            f"{name}: {value if isinstance(value, str) else _time([value], entry['items_per_run'][side])}"
            for name, value in found.items()
        )

    return [entry["title"], describe("theirs"), describe("ours")]


def _time(seconds: Sequence[float], items: int = 1) -> str:
    value = 1e3 * statistics.median(seconds) / items
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1e3:.3g} s"


def _numbers(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2g}" for name, value in values.items())


def _table(header: Sequence[str], rows: Any) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines] + [""]


def draw(entries: Sequence[Entry]) -> Figure:
    """Bars of the median ratios on a logarithmic axis, with quartiles, ranges and targets."""
    figure, panel = plt.subplots(figsize=(9.5, 0.42 * len(entries) + 1.6))
    for place, entry in enumerate(reversed(entries)):
        ratio = entry["ratio"]
        panel.barh(place, ratio["median"] - 1, 0.6, left=1, color=_COLOURS[verdict(entry)], alpha=0.75)
        panel.plot([ratio["min"], ratio["max"]], [place, place], color="black", linewidth=0.8)
        panel.plot([ratio["q1"], ratio["q3"]], [place, place], color="black", linewidth=2.5)
        if entry["max_ratio"] is not None:
            panel.plot([entry["max_ratio"]] * 2, [place - 0.4, place + 0.4], color="black", linestyle=":")
        panel.text(
            1.02, place, factor(ratio["median"]), transform=panel.get_yaxis_transform(), va="center", size=8
        )
    panel.axvline(1, color="black", linewidth=0.8)
    panel.set_xscale("log")
    lowest = min(min(e["ratio"]["min"], e["max_ratio"] or math.inf) for e in entries)
    highest = max(max(e["ratio"]["max"], e["max_ratio"] or 0) for e in entries)
    panel.set_xlim(min(lowest / 1.3, 0.5), max(highest * 1.3, 2))
    panel.set_yticks(range(len(entries)), [f"{e['title']} | {e['peer']}" for e in reversed(entries)], size=8)
    panel.set_xlabel(
        "jaxmed's time / peer's time (below 1: jaxmed is faster); median, quartiles, range\n"
        "dotted: target; green: met, red: missed, blue: none was set"
    )
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    places = dict.fromkeys(f"{e['device']}, {e['date']}" for e in entries)
    panel.set_title("; ".join(places), size=9, loc="left")
    return figure


def write(stem: Path, found: Sequence[Entry]) -> None:
    """Writes `stem`.md and, where something was compared, `stem`.png."""
    picture, entries = stem.with_suffix(".png"), [entry for entry in found if "ratio" in entry]
    if entries:
        figure = draw(entries)
        figure.savefig(picture, dpi=110, bbox_inches="tight", facecolor="white")
        plt.close(figure)
    stem.with_suffix(".md").write_text(to_markdown(found, picture.name))
