import csv
import dataclasses
import json
import re

import pytest

from experiments.verbs import provenance, runs, table
from experiments.verbs.errors import UserError


@pytest.fixture
def options(tmp_path):
    return table.TableOptions(workdir=tmp_path, seeds=(0, 1), checkpoint_every=40)


def make(toy, options):
    return table.table("toy", "table1", toy.presets["demo"], options)


def read(options):
    return json.loads((options.workdir / "toy" / "table1-demo.json").read_text())


def test_table_is_written_in_all_forms(toy, options, capsys):
    assert make(toy, options) == 0
    report = read(options)
    assert {"paper", "table", "preset", "data", "device", "jax_version", "commit", "seeds"} <= set(report)
    assert (report["paper"], report["table"], report["preset"], report["data"]) == (
        "toy",
        "table1",
        "demo",
        "phantom",
    )
    assert report["seeds"] == [0, 1]
    first, second = report["rows"]
    assert first["published"]["weight"]["mean"] == 1.0
    # Two folds and two seeds of three cases each; the weight is learned well within 0.1.
    assert first["ours"]["weight"]["n"] == 12
    assert first["ours"]["weight"]["mean"] == pytest.approx(1.025, abs=0.1)
    assert second["ours"]["weight"]["mean"] == pytest.approx(2.025, abs=0.1)
    assert [claim["verdict"] for claim in report["claims"]] == ["holds", "fails"]
    assert report["tests"][0]["num_cases"] == 6
    folder = options.workdir / "toy"
    with (folder / "table1-demo.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert ("one", "weight", "paper", "1.0") in [
        (line["label"], line["metric"], line["source"], line["mean"]) for line in lines
    ]
    assert "| one | 1.00 |" in (folder / "table1-demo.md").read_text()
    assert (folder / "table1-demo.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "table1-demo" / "drawn.txt").read_text() == "two 2.0 phantom [10, 20, 30, 40]"
    heading, _, source, _, text = (folder / "table1-demo" / "notes.md").read_text().splitlines()
    assert (heading, text) == ("## toy, table1: notes", "What is to be said.")
    assert f"\n{source}\n" in (folder / "table1-demo.md").read_text()
    assert source.startswith(f"Ours: data phantom, commit {report['commit']}, device ")
    shown = capsys.readouterr().out
    assert "two is above one" in shown


@pytest.fixture
def one_seed(options):
    return dataclasses.replace(options, seeds=(0,))


def test_one_run_a_row_has_no_standard_error(toy, one_seed, monkeypatch, capsys):
    single = [
        dataclasses.replace(row, configs=row.configs[:1])
        for row in toy.tables["table1"].rows(toy.presets["demo"])
    ]
    monkeypatch.setitem(
        toy.tables, "table1", dataclasses.replace(toy.tables["table1"], rows=lambda _: tuple(single))
    )
    make(toy, one_seed)
    assert all("standard error" not in claim["numbers"] for claim in read(one_seed)["claims"])
    assert "standard error" not in (one_seed.workdir / "toy" / "table1-demo.md").read_text()
    shown = next(line for line in capsys.readouterr().out.splitlines() if "two is above one" in line)
    assert [cell.strip() for cell in re.split("[│┃|]", shown)][-2] == "-"


def test_finished_rows_are_not_run_again(toy, one_seed, monkeypatch):
    make(toy, one_seed)
    before = read(one_seed)["rows"]
    monkeypatch.setattr(runs.training, "train", lambda *arguments: pytest.fail("trained again"))
    make(toy, one_seed)
    assert read(one_seed)["rows"] == before


def test_results_of_another_commit_are_set_aside(toy, one_seed, monkeypatch):
    make(toy, one_seed)
    monkeypatch.setattr(provenance, "commit", lambda: "another")
    make(toy, one_seed)
    assert read(one_seed)["commit"] == "another"
    folders = {path.name for path in (one_seed.workdir / "toy").glob("demo*/*")}
    assert {"seed0", "seed0-old1"} <= folders


def test_run_of_more_steps_is_set_aside(toy, one_seed):
    first = toy.tables["table1"].rows(toy.presets["demo"])[0].configs[0]
    longer = runs.RunName("toy", "demo", first, 0)
    folder = runs.run(longer, one_seed, num_steps=50)
    make(toy, one_seed)
    assert runs.read_result(folder)["steps"] == 40
    assert runs.read_result(folder.with_name("seed0-old1"))["steps"] == 50


def test_changed_fields_show_in_the_name(toy, one_seed):
    table.table("toy", "table1", dataclasses.replace(toy.presets["demo"], num_steps=3), one_seed)
    assert (one_seed.workdir / "toy" / "table1-demo_num_steps-3.json").exists()


def test_unknown_table_is_refused(toy, options):
    with pytest.raises(UserError, match="did you mean 'table1'"):
        table.table("toy", "table2", toy.presets["demo"], options)
