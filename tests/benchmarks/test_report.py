import pytest

from benchmarks import report


def entry(median, max_ratio=None, *, quick=False, parts=None):
    spread = {"q1": median, "q3": median, "min": median / 2, "max": median * 2}
    return {
        "name": "step",
        "title": "a step",
        "peer": "PyTorch",
        "max_ratio": max_ratio,
        "quick": quick,
        "ratio": {"median": median, **spread},
        "chosen": {"theirs": "eager", "ours": "jit"},
        "settings": {"theirs": {"eager": 0.2, "compiled": "RuntimeError: no"}, "ours": {"jit": 0.1}},
        "items_per_run": {"theirs": 2, "ours": 1},
        "seconds_per_item": {"theirs": [0.1, 0.1, 0.2], "ours": [1.5, 1.5, 1.5]},
        "agreement": {"outputs": 1.25e-7},
        "parts": parts or {},
        "threads": 2,
        "software": {"jax": "0.0"},
        "device": "1 x cpu",
        "commit": "abc",
        "date": "2026-01-01",
    }


@pytest.mark.parametrize(
    ("median", "max_ratio", "quick", "wanted"),
    [(0.9, 1.0, False, "met"), (1.1, 1.0, False, "missed"), (1.1, None, False, ""), (0.9, 1.0, True, "")],
)
def test_targets_are_judged_by_the_median_at_full_size(median, max_ratio, quick, wanted):
    assert report.verdict(entry(median, max_ratio, quick=quick)) == wanted


def test_a_missed_target_has_its_cause():
    spread = {"ratio": {"median": 1.0, "min": 0.5, "max": 1.5}}
    parts = {
        "forward": {"seconds": {"theirs": [0.1], "ours": [0.2]}, **spread},
        "forward and gradient": {"seconds": {"theirs": [0.3], "ours": [1.0]}, **spread},
    }
    text = report.to_markdown([entry(2.5, 1.0, parts=parts)], "plot.png")
    assert "missed: forward 2.00, backward 4.00 |" in text
    assert "| a step | forward | 50 ms | 200 ms | 1.00 (0.50 - 1.50) |" in text
    parts = {name: {**parts["forward"], "ratio": {**spread["ratio"]}} for name in ("critic", "path length")}
    parts["critic"]["ratio"]["median"] = 3.0
    text = report.to_markdown([entry(2.5, 1.0, parts=parts)], "plot.png")
    assert "missed: critic 3.00, path length 1.00 |" in text
    assert "missed: parts not measured" in report.to_markdown([entry(2.5, 1.0)], "plot.png")


def test_large_gains_are_said_as_factors():
    assert report.factor(1 / 80) == "80x faster"
    assert report.factor(0.5) == "0.50"
    assert "at least 60x faster" in report.to_markdown([entry(0.01, 1 / 60)], "p.png")


def test_settings_and_failures_are_listed(tmp_path):
    failure = {"name": "x", "title": "other work", "error": "needs torch, not installed here"}
    program = {"name": "own", "title": "a program", "program": "own.md", "commit": "abc"}
    report.write(tmp_path / "page", [entry(0.5, 1.0), entry(0.01), failure, program])
    text = (tmp_path / "page.md").read_text()
    assert "eager: 100 ms; compiled: RuntimeError: no" in text
    assert "Not measured: other work: needs torch, not installed here" in text
    assert "a program: [own.md](own.md)" in text
    assert (tmp_path / "page.png").stat().st_size > 5000
