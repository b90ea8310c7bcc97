"""The comparison of kernel changes as Markdown."""

from collections.abc import Callable
from typing import Any

import numpy as np

_METHODS = ("exact", "projector", "fft")
_HEADER = """| (a, b) | change | mean shift | exact | r | projector | r | fft | r |
|---|---|---|---|---|---|---|---|---|
"""


def page(results: dict[str, Any]) -> str:
    """The whole file: where the numbers come from, how to read them, and one table for each comparison."""
    return "\n".join(
        [
            "# Change of the reconstruction kernel against the original algorithm",
            "",
            f"Commit {results['commit']}, {results['device']}, jax {results['jax_version']}, "
            f"{results['date']}; slices of {results['size']} x {results['size']} pixels of about 1 mm.",
            "",
            "The original algorithm, built from scikit-image's `radon` and `iradon` and projecting the whole "
            "square, against the three modes of `jaxmed.augment.sinogram.change_kernel`. All numbers in HU, "
            "root mean square inside the inscribed circle; change: of the image by the original; r: "
            "correlation of the changes. Rows of draws give the median over kernels that were drawn, and the "
            "worst of them.",
            "",
            *(markdown(comparison) for comparison in results["comparisons"]),
        ]
    )


def markdown(comparison: dict[str, Any]) -> str:
    """Table of one slice with one number of angles."""
    lines = [_row(f"({row['a']:g}, {row['b']:g})", [row]) for row in comparison["kernels"]]
    for name, sign in (("smoothing", -1), ("sharpening", 1)):
        if rows := [row for row in comparison["draws"] if sign * row["a"] > 0]:
            lines.append(_row(f"{len(rows)} draws, {name}", rows))
    title = f"## {comparison['slice']}, {comparison['num_angles']} angles\n\n"
    return title + _HEADER + "\n".join(lines) + "\n"


def _row(label: str, rows: list[dict[str, Any]]) -> str:
    cells = [label, _cell([row["change"] for row in rows], max), _shift(rows)]
    for method in _METHODS:
        cells.append(_cell([row[method]["rmse"] for row in rows], max))
        cells.append(_cell([row[method]["correlation"] for row in rows], min, digits=3))
    return f"| {' | '.join(cells)} |"


def _shift(rows: list[dict[str, Any]]) -> str:
    values = [row["mean_shift"] for row in rows]
    return f"{np.median(values):.0f}" + (
        "" if len(rows) == 1 else f" ({min(values):.0f} to {max(values):.0f})"
    )


def _cell(values: list[float], worst: Callable[[list[float]], float], digits: int = 2) -> str:
    middle = f"{np.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({worst.__name__} {worst(values):.{digits}f})"
