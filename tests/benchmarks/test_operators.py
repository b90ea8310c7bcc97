import json

import numpy as np
import pytest

from benchmarks import operators
from benchmarks.operator_cases import CASES, PLAIN


def test_every_operator_has_both_forms_and_a_name_of_its_own():
    assert len({case.name for case in CASES}) == len(CASES)
    assert all({"ours", PLAIN} <= set(case.forms) for case in CASES)


def test_results_of_a_second_call_join_those_of_the_first(tmp_path, capsys):
    for names in (["pool-2d"], ["nearest-2d"], ["pool-2d"]):
        arguments = ["--quick", "--without-torch", "--plain-malloc", "--output", str(tmp_path / "found")]
        operators.main([*arguments, "--only", *names])
    found = json.loads((tmp_path / "found.json").read_text())["operators"]
    assert [entry["name"] for entry in found] == ["pool-2d", "nearest-2d"]
    assert all(entry["differences"]["ours"] < 1e-6 and entry["forms"]["ours"]["ratio"] > 0 for entry in found)
    assert (tmp_path / "found.md").read_text().count("x2 4x64x64x32") == 1
    assert "max-pooling" in capsys.readouterr().out


def test_ratios_are_taken_within_a_round():
    summary = operators.summarise({PLAIN: [1.0, 10.0, 2.0], "ours": [2.0, 10.0, 6.0]})
    assert summary["ours"] == {"median_ms": 6.0, "ratio": 2.0, "ratio_min": 1.0, "ratio_max": 3.0}


def test_differences_are_relative_to_the_largest_element_of_each_result():
    found = [np.array([1.0, 2.0]), np.array([10.0])]
    assert operators.largest_difference(found, [np.array([1.0, 4.0]), np.array([8.0])]) == pytest.approx(0.5)
