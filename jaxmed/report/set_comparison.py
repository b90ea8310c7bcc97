"""What was found out about a set of synthetic images, in words."""

from collections.abc import Mapping, Sequence

import numpy as np

Numbers = Sequence[float] | np.ndarray


def write_section(
    title: str,
    scores: Mapping[str, np.ndarray],
    medians: Mapping[str, Numbers],
    measures: Sequence[str],
    findings: Mapping[str, Numbers],
) -> str:
    """A section of a report, as Markdown.

    Args:
        title: such as the name of a class.
        scores: by name, one number for each network that judged.
        medians: by kind of comparison, the median largest similarity by each measure.
        measures: names of the measures.
        findings: by failure mode, the numbers of a `metrics.failure_modes.Finding`.
    """
    lines = [f"## {title}", "", "| | mean | std over networks |", "|---|---|---|"]
    for name, values in scores.items():
        spread = f"{values.std(ddof=1):.3f}" if len(values) > 1 else ""
        lines.append(f"| {name} | {values.mean():.3f} | {spread} |")
    lines += [
        "",
        f"| largest similarity, median | {' | '.join(measures)} |",
        "|---" * (1 + len(measures)) + "|",
    ]
    lines += [f"| {kind} | {' | '.join(f'{one:.3f}' for one in own)} |" for kind, own in medians.items()]
    lines.append("")
    for mode, (superiority, share, p_value, is_found) in findings.items():
        lines.append(
            f"- {mode}: **{'found' if is_found else 'not found'}**. {100 * share:.1f} % of the synthetic "
            f"images have a similarity that only 1 % of the real ones have (p = {p_value:.2g}); probability "
            f"of superiority over real images {superiority:.2f}."
        )
    return "\n".join([*lines, ""])
