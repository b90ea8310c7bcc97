import matplotlib.pyplot as plt
import pytest

from jaxmed.report import figures
from jaxmed.report.table import Cell, ReportRow, TableReport


def make_report():
    rows = (
        ReportRow("one", {"dice": Cell(0.5, 0.1)}, {"dice": Cell(0.6, 0.2, 9), "loss": Cell(0.2)}),
        ReportRow("two", {}, {"dice": Cell(0.7), "loss": Cell(0.1)}),
    )
    return TableReport(
        "toy", "table1", "c", "demo", (0,), ("dice", "loss"), rows, provenance={"data": "phantom"}
    )


def test_bars_are_the_means_of_paper_and_ours():
    figure = figures.draw_table(make_report())
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([0.5, float("nan"), 0.6, 0.7], nan_ok=True)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["one", "two"]
    assert [text.get_text() for text in figure.legends[0].texts] == ["paper", "ours (phantom)"]
    plt.close(figure)


def test_saving_writes_a_png_and_closes_the_figure(tmp_path):
    figure = figures.draw_table(make_report())
    file = figures.save(figure, tmp_path / "table.png")
    assert file.read_bytes().startswith(b"\x89PNG")
    assert figure.number not in plt.get_fignums()


def test_panels_stand_three_in_a_line_and_as_wide_as_their_rows_ask():
    rows = tuple(ReportRow(f"row {n}", {}, dict.fromkeys("abcd", Cell(float(n)))) for n in range(16))
    figure = figures.draw_table(TableReport("toy", "table1", "c", "demo", (0,), tuple("abcd"), rows))
    places = [panel.get_position() for panel in figure.axes]
    assert [panel.get_title() for panel in figure.axes] == list("abcd")
    assert places[0].y0 == pytest.approx(places[2].y0)
    assert places[3].y1 < places[0].y0
    assert figure.get_figwidth() > 3 * 16 * 0.4
    plt.close(figure)
