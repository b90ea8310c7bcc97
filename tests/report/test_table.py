import csv
import io
import json

from jaxmed.report import table
from jaxmed.report.table import Cell, JudgedClaim, PairedTest, ReportRow, TableReport


def make_report():
    rows = (
        ReportRow("Baseline", {"dice": Cell(0.56, 0.23)}, {"dice": Cell(0.5, 0.25, 12), "loss": Cell(0.1)}),
        ReportRow("Ours", {}, {"dice": Cell(0.75, None, 1), "loss": Cell(0.05)}),
    )
    return TableReport(
        paper="toy",
        table="table1",
        caption="Caption.",
        preset="demo",
        seeds=(0, 1),
        metrics=("dice", "loss"),
        rows=rows,
        claims=(JudgedClaim("ours is above", "holds", {"difference": 0.25, "replicates": 2}),),
        tests=(PairedTest("dice", "Ours", "Baseline", "greater", 12, 0.01, 0.02),),
        provenance={"data": "phantom", "device": "1 x cpu", "commit": "abc"},
    )


def test_cells_show_mean_and_spread():
    assert str(Cell(0.564, 0.235)) == "0.56 (0.23)"
    assert str(Cell(0.5)) == "0.50"
    assert str(Cell(0.5, 0.1, 9, undefined=2)) == "0.50 (0.10), 2 undefined"


def test_json_has_provenance_at_the_top_and_every_number():
    content = json.loads(table.to_json(make_report()))
    assert (content["paper"], content["data"], content["commit"]) == ("toy", "phantom", "abc")
    assert content["rows"][0]["published"]["dice"] == {
        "mean": 0.56,
        "std": 0.23,
        "n": None,
        "undefined": 0,
    }
    assert content["rows"][0]["ours"]["dice"]["n"] == 12
    assert content["claims"][0]["verdict"] == "holds"
    assert content["tests"][0]["p_corrected"] == 0.02


def test_csv_has_a_line_per_row_metric_and_source():
    lines = list(csv.DictReader(io.StringIO(table.to_csv(make_report()))))
    assert len(lines) == 5
    assert lines[0] == {
        "label": "Baseline",
        "metric": "dice",
        "source": "paper",
        "mean": "0.56",
        "std": "0.23",
        "n": "",
        "undefined": "0",
    }


def test_markdown_sets_paper_beside_ours_and_says_where_numbers_come_from():
    text = table.to_markdown(make_report())
    assert "|  | dice, paper | dice, ours | loss, paper | loss, ours |" in text
    assert "| Baseline | 0.56 (0.23) | 0.50 (0.25) | - | 0.10 |" in text
    assert "Ours: data phantom, device 1 x cpu, commit abc, preset demo, seeds 0 1." in text
    assert "holds: ours is above (difference 0.25, replicates 2)" in text
    assert "p = 0.01, corrected 0.02" in text


def test_small_means_keep_two_significant_digits():
    assert [str(table.Cell(mean)) for mean in (0.0, 1e-4, -0.0049, 0.005, 0.5)] == [
        "0.00",
        "0.0001",
        "-0.0049",
        "0.01",
        "0.50",
    ]


def test_texts_beside_a_table_say_where_their_numbers_come_from():
    lines = table.add_heading(make_report(), "fits", "| a |\n").splitlines()
    assert lines[0] == "## toy, table1: fits"
    assert lines[2] == "Ours: data phantom, device 1 x cpu, commit abc, preset demo, seeds 0 1."
    assert lines[4:] == ["| a |"]
