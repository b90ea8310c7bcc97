"""Points placed in 3D Slicer: fiducial lists (.fcsv) and markups (.mrk.json).

Both formats name their coordinate system: LPS (x towards the patient's left, y towards posterior) or RAS
(right, anterior); z runs towards superior. What is read comes out in RAS, as affines of volumes are.
"""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines.readers.errors import ReadError

_TO_RAS = {"RAS": (1, 1, 1), "LPS": (-1, -1, 1), "0": (1, 1, 1), "1": (-1, -1, 1)}
"""Old .fcsv files number their systems."""

SUFFIXES = (".fcsv", ".mrk.json")


@dataclass(frozen=True)
class Points:
    """Points of one file, in its order.

    Attributes:
        labels: the name of each point, perhaps empty.
        ras_mm: (points, 3) float64 world coordinates x, y, z in RAS, in mm.
    """

    labels: tuple[str, ...]
    ras_mm: np.ndarray


def read_points(path: str | Path) -> Points:
    """Reads the points of a .fcsv or .mrk.json file.

    A .mrk.json may hold several markups of the types Fiducial and Line, whose points are put one after the
    other.

    Args:
        path: the file.

    Returns:
        Its points; none is fine.

    Raises:
        ReadError: the file is missing, of another kind or damaged; no or another coordinate system, or
            another unit than mm; a point that is not placed or not finite.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIXES):
        raise ReadError(path, f"the file name {path.name!r}", f"one ending in {' or '.join(SUFFIXES)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ReadError(path, error.strerror or "a file that cannot be read", "a readable file") from error
    except UnicodeDecodeError as error:
        raise ReadError(path, "bytes that are not UTF-8", "a text file") from error
    found = _parse_fcsv(text, path) if path.name.endswith(".fcsv") else _parse_json(text, path)
    labels = tuple(label for label, _ in found)
    return Points(labels, np.array([point for _, point in found], np.float64).reshape(-1, 3))


def case_name(path: Path) -> str:
    """The file's name without its ending."""
    return path.name.removesuffix(".fcsv").removesuffix(".mrk.json")


def _parse_fcsv(text: str, path: Path) -> list[tuple[str, list[float]]]:
    system, columns, found = None, None, []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            key, _, value = line.lstrip("# ").partition("=")
            if key.strip() == "CoordinateSystem":
                system = value.strip()
            elif key.strip() == "columns":
                columns = [name.strip() for name in value.split(",")]
        elif line.strip():
            signs = _signs(system, path)
            if columns is None or not {"x", "y", "z"} <= set(columns):
                raise ReadError(path, "no line '# columns = id,x,y,z,...'", "one before the points")
            fields = dict(zip(columns, next(csv.reader([line])), strict=False))
            position = [fields.get(axis, "") for axis in "xyz"]
            found.append((fields.get("label", ""), _to_ras(position, signs, path, f"line {number}")))
    if not found:
        _signs(system, path)
    return found


def _parse_json(text: str, path: Path) -> list[tuple[str, list[float]]]:
    try:
        document: Any = json.loads(text)
        markups = list(document["markups"])
        return [found for markup in markups for found in _points_of(markup, path)]
    except ReadError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ReadError(path, f"no markups ({type(error).__name__}: {error})", "a .mrk.json file") from error


def _points_of(markup: Any, path: Path) -> list[tuple[str, list[float]]]:
    if markup["type"] not in ("Fiducial", "Line"):
        raise ReadError(path, f"a markup of type {markup['type']!r}", "Fiducial or Line")
    units = markup.get("coordinateUnits", "mm")
    if units not in ("mm", ["mm"] * 3):
        raise ReadError(path, f"coordinates in {units!r}", "mm")
    signs, found = _signs(markup.get("coordinateSystem"), path), []
    for number, point in enumerate(markup["controlPoints"], 1):
        if point.get("positionStatus", "defined") != "defined":
            raise ReadError(
                path, f"point {number} that is {point['positionStatus']}", "points that are placed"
            )
        position = _to_ras(point["position"], signs, path, f"point {number}")
        found.append((str(point.get("label", "")), position))
    return found


def _signs(system: Any, path: Path) -> tuple[int, int, int]:
    if not isinstance(system, str) or system not in _TO_RAS:
        raise ReadError(path, f"coordinate system {system!r}", "LPS or RAS, stated in the file")
    return _TO_RAS[system]


def _to_ras(position: Any, signs: tuple[int, int, int], path: Path, place: str) -> list[float]:
    try:
        values = [float(value) for value in position]
    except (TypeError, ValueError):
        values = []
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise ReadError(path, f"{place} with position {position!r}", "three finite numbers")
    return [sign * value for sign, value in zip(signs, values, strict=True)]
