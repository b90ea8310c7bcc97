import time

import pytest

from benchmarks.peers import worker


class Naps:
    """Work whose settings sleep, or do not work at all."""

    items = 3
    settings = ("slow", "fast", "broken")

    def prepare(self, setting):
        if setting == "broken":
            raise RuntimeError("no such thing\nand more")
        return lambda: time.sleep({"slow": 0.02, "fast": 0.002}[setting])

    def parts(self, setting):
        return {f"half of {setting}": lambda: None}

    def describe(self):
        return {"naps": "1.0"}


class Hopeless(Naps):
    settings = ("broken",)


def test_the_fastest_setting_counts_and_what_does_not_work_is_said(monkeypatch):
    monkeypatch.setitem(worker._state, "work", Naps())
    worker.prepare()
    found = worker.choose(3)
    assert found["broken"] == "RuntimeError: no such thing"
    assert 0.002 <= found["fast"] < 0.02 <= found["slow"]
    assert max(worker.time_run("", 3)) < 0.02
    assert len(worker.time_run("", 3)) == 3
    assert list(worker.prepare_parts()) == ["half of fast"]
    assert worker.describe() == (3, {"naps": "1.0"})


def test_work_without_any_setting_is_refused(monkeypatch):
    monkeypatch.setitem(worker._state, "work", Hopeless())
    worker.prepare()
    with pytest.raises(RuntimeError, match="no setting works"):
        worker.choose(1)


def test_short_work_is_repeated_in_its_turn():
    assert [worker.calls_per_turn(s) for s in (10.0, 0.5, 0.1, 1e-6)] == [1, 1, 5, 20]
