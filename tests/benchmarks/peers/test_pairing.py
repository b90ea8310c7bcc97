import pytest

from benchmarks.peers import pairing


def test_summary_has_quartiles_and_range():
    found = pairing.summary([3.0, 1.0, 2.0, 5.0, 4.0])
    assert found == {"median": 3.0, "q1": 2.0, "q3": 4.0, "min": 1.0, "max": 5.0}


def test_ratios_are_those_of_the_rounds():
    assert pairing._ratios({"ours": [1.0, 2.0], "theirs": [2.0, 8.0]}) == [0.5, 0.25]


def test_the_fastest_is_not_one_that_failed():
    assert pairing._name_of_fastest({"broken": "error", "slow": 2.0, "fast": 1.0}) == "fast"
    assert pairing._fastest({"ours": {"a": 3.0}, "theirs": {"b": "no", "c": 1.5}}) == {
        "ours": 3.0,
        "theirs": 1.5,
    }
    with pytest.raises(ValueError, match="empty"):
        pairing._name_of_fastest({"broken": "error"})
