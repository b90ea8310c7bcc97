from dataclasses import replace

import numpy as np
import pytest

from experiments.contract import Claim, Comparison, FinishedRow, Row
from experiments.verbs import judgement
from jaxmed.report import table as report_table


def make_row(label, *replicates):
    """Each replicate is a list of the values of cases c0, c1, ..."""
    scores = tuple({"dice": {f"c{k}": value for k, value in enumerate(values)}} for values in replicates)
    return FinishedRow(Row(label, ()), scores, lambda index: None)


def rows(*made):
    return {row.row.label: row for row in made}


def test_cell_pools_cases_of_all_replicates():
    cell = judgement.cell(make_row("a", [1.0, 2.0], [3.0, 6.0]), "dice")
    assert (cell.mean, cell.n) == (3.0, 4)
    assert cell.std == pytest.approx(np.std([1, 2, 3, 6], ddof=1))


def test_undefined_values_are_left_out_and_counted():
    cell = judgement.cell(make_row("a", [1.0, float("nan"), 3.0]), "dice")
    assert (cell.mean, cell.n, cell.undefined) == (2.0, 2, 1)


@pytest.mark.parametrize(
    ("left", "right", "margin", "verdict"),
    [
        # Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3) = 0.577; two of them are 1.155.
        ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 0.0, "holds"),
        ([0.0, 0.0, 0.0], [1.0, 2.0, 3.0], 0.0, "fails"),
        ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 1.0, "tied"),
        ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 0.8, "holds"),
        ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 3.2, "fails"),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 0.0, "tied"),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], -0.1, "holds"),
    ],
)
def test_verdicts_weigh_the_difference_against_two_standard_errors(left, right, margin, verdict):
    made = rows(make_row("a", *[[v] for v in left]), make_row("b", *[[v] for v in right]))
    judged = judgement.judge(Claim("text", "dice", "a", "b", margin=margin), made)
    assert judged.verdict == verdict
    assert judged.numbers["replicates"] == 3
    spread = np.subtract(left, right).std(ddof=1)
    assert judged.numbers["standard error"] == pytest.approx(spread / np.sqrt(3))


def test_gains_of_two_pairs_of_rows_are_compared():
    """Gains of 3, 5 and 4 against 1, 1 and 2: differences 2, 4, 2, their standard error 2 / 3."""
    made = rows(
        make_row("a", [4.0], [6.0], [5.0]),
        make_row("a base", [1.0], [1.0], [1.0]),
        make_row("b", [9.0], [9.0], [9.0]),
        make_row("b base", [8.0], [8.0], [7.0]),
    )
    claim = Claim("text", "dice", "a", "b", over=("a base", "b base"))
    judged = judgement.judge(claim, made)
    assert judged.verdict == "holds"
    assert judged.numbers == {
        "mean of a over a base": 4,
        "mean of b over b base": pytest.approx(4 / 3),
        "difference": pytest.approx(8 / 3),
        "standard error": pytest.approx(2 / 3),
        "replicates": 3,
    }
    assert judgement.judge(replace(claim, over=None), made).verdict == "fails"


def test_two_metrics_of_one_row_are_compared():
    scores = tuple({"large": {"c": 0.9 + k}, "small": {"c": 0.5, "d": 0.1}} for k in (0.0, 0.1))
    made = rows(FinishedRow(Row("a", ()), scores, lambda index: None))
    judged = judgement.judge(Claim("text", "large", "a", "a", right_metric="small"), made)
    assert judged.verdict == "holds"
    assert judged.numbers["mean of large of a"] == pytest.approx(0.95)
    assert judged.numbers["mean of small of a"] == pytest.approx(0.3)


def test_a_single_replicate_is_judged_by_its_sign():
    made = rows(make_row("a", [1.0]), make_row("b", [0.5]))
    judged = judgement.judge(Claim("text", "dice", "a", "b"), made)
    assert judged.verdict == "holds"
    assert "standard error" not in judged.numbers
    assert "standard error" not in report_table.describe_claim(judged)


def test_rounding_is_no_difference():
    made = rows(make_row("a", [0.1 + 0.2]), make_row("b", [0.3]))
    assert judgement.judge(Claim("text", "dice", "a", "b"), made).verdict == "tied"


def test_claims_about_the_spread_compare_standard_deviations():
    made = rows(make_row("wide", [0.0, 2.0], [0.0, 4.0]), make_row("narrow", [1.0, 1.1], [1.0, 1.1]))
    judged = judgement.judge(Claim("text", "dice", "wide", "narrow", "std"), made)
    assert judged.numbers["std of wide"] == pytest.approx((np.sqrt(2) + 2 * np.sqrt(2)) / 2)
    assert judged.verdict == "holds"


def test_tests_pair_the_means_of_cases_and_correct_for_their_number():
    """Six cases, all larger: exact one-sided p = 1/64; two comparisons double it."""
    one = make_row("one", [k + 0.0 for k in range(6)], [k + 0.2 for k in range(6)])
    two = make_row("two", [k + 1.0 + 0.1 * k for k in range(6)])
    three = make_row("three", [k - 1.0 - 0.1 * k for k in range(6)])
    tests = judgement.compare(Comparison("dice", "two", "greater"), rows(one, two, three))
    assert [(test.second, test.num_cases) for test in tests] == [("one", 6), ("three", 6)]
    assert tests[0].p_value == pytest.approx(1 / 64)
    assert tests[0].p_corrected == pytest.approx(1 / 32)


def test_rows_without_common_cases_are_not_tested():
    made = rows(make_row("a", [1.0]), make_row("b"))
    assert judgement.compare(Comparison("dice", "a"), made) == []
