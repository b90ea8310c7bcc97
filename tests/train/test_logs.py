import csv
import json

import jax.numpy as jnp
import pytest

from jaxmed.train import logs


def metrics_of(step):
    return {"loss": jnp.asarray(1.0 / step)}


def read_lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_log_writes_every_nth_step_to_both_files(tmp_path):
    log = logs.MetricLog(tmp_path, every=2)
    for step in range(1, 7):
        log(step, None, metrics_of(step))
    assert read_lines(tmp_path) == [{"step": step, "loss": 1.0 / step} for step in (2, 4)] + [
        {"step": 6, "loss": float(jnp.float32(1 / 6))}
    ]
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4", "6"]


def test_stages_share_the_files_and_resume_each_by_itself(tmp_path):
    first = logs.MetricLog(tmp_path, every=1, stage="first")
    for step in (1, 2):
        first(step, None, metrics_of(step))
    second = logs.MetricLog(tmp_path, every=1, stage="second")
    for step in (1, 2, 3):
        second(step, None, {"distance": jnp.asarray(2.0), **metrics_of(1)})
    second = logs.MetricLog(tmp_path, first_step=1, every=1, stage="second")
    second(2, None, metrics_of(2))
    places = [(line["stage"], line["step"]) for line in read_lines(tmp_path)]
    assert places == [("first", 1), ("first", 2), ("second", 1), ("second", 2)]
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["stage"], row["loss"], row["distance"]) for row in rows] == [
        ("first", "1.0", ""),
        ("first", "0.5", ""),
        ("second", "1.0", "2.0"),
        ("second", "0.5", ""),
    ]


def test_log_of_a_resumed_run_holds_each_step_once(tmp_path):
    log = logs.MetricLog(tmp_path, every=1)
    for step in range(1, 6):
        log(step, None, metrics_of(step))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # killed while writing
    assert [line["step"] for line in logs.read_log(tmp_path)] == [1, 2, 3, 4, 5]
    assert logs.read_log(tmp_path / "none") == []
    log = logs.MetricLog(tmp_path, first_step=3, every=1)
    log(4, None, metrics_of(4))
    assert [line["step"] for line in read_lines(tmp_path)] == [1, 2, 3, 4]
    assert logs.read_log(tmp_path) == read_lines(tmp_path)
    with (tmp_path / "metrics.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_journal_remembers_over_starts(tmp_path):
    logs.Journal(tmp_path).note("skipped", 3)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"time": "now", "ev')  # killed while writing
    journal = logs.Journal(tmp_path)
    journal.note("skipped", 5, reason="NaN")
    journal.note("stopped", 6)
    seen = [(event["event"], event["step"]) for event in journal.read()]
    assert seen == [("skipped", 3), ("skipped", 5), ("stopped", 6)]
    assert journal.read()[1]["reason"] == "NaN"
    assert logs.Journal(tmp_path / "none").read() == []


@pytest.mark.faults
def test_events_that_cannot_be_written_are_said_and_written_later(tmp_path, caplog, record_fault):
    journal = logs.Journal(tmp_path)
    (tmp_path / "events.jsonl").mkdir()
    for step in (1, 2):
        journal.note("skipped", step)
    assert [record.message.split(" in ")[0] for record in caplog.records] == [
        "step 1: 'skipped' is not noted",
        "step 2: 'skipped' is not noted",
    ]
    (tmp_path / "events.jsonl").rmdir()
    journal.note("stopped", 3)
    assert [event["step"] for event in journal.read()] == [1, 2, 3]
    record_fault("11 a journal that cannot be written for a while", "said each time; complete afterwards")
