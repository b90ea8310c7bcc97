import itertools

import numpy as np
import pytest
import scipy.stats

from jaxmed.metrics import significance

ALTERNATIVES = ["two-sided", "greater", "less"]


@pytest.mark.parametrize("size", [1, 4, 7])
def test_one_sign_gives_the_smallest_p_value(size):
    second = np.arange(size, dtype=float)
    first = second + np.arange(1, size + 1)
    for alternative, wanted in zip(ALTERNATIVES, [2.0 ** (1 - size), 2.0**-size, 1.0], strict=True):
        result = significance.wilcoxon_signed_rank(first, second, alternative=alternative)
        np.testing.assert_allclose(result, min(wanted, 1.0))


@pytest.mark.parametrize("differences", [[1, -2, 3, 4, 5], [1, 1, -2, 3, 3, 3]])
def test_equals_the_enumeration_of_all_signs(differences):
    ranks = scipy.stats.rankdata(np.abs(differences))
    observed = ranks[np.array(differences) > 0].sum()
    sums = np.array(
        [ranks[np.array(signs)].sum() for signs in itertools.product([False, True], repeat=len(ranks))]
    )
    first = np.array(differences, float)
    result = significance.wilcoxon_signed_rank(first, np.zeros_like(first), alternative="greater")
    np.testing.assert_allclose(result, (sums >= observed).mean())


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_large_samples_use_the_normal_approximation(alternative):
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.2, 1, 80), rng.normal(size=80)
    result = significance.wilcoxon_signed_rank(first, second, alternative=alternative)
    positive = scipy.stats.rankdata(np.abs(first - second))[first > second].sum()
    z = (positive - 80 * 81 / 4) / np.sqrt(80 * 81 * 161 / 24)
    wanted = {
        "two-sided": 2 * scipy.stats.norm.sf(abs(z)),
        "greater": scipy.stats.norm.sf(z),
        "less": scipy.stats.norm.cdf(z),
    }
    np.testing.assert_allclose(result, wanted[alternative])


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_equal_scores_give_one(alternative):
    result = significance.wilcoxon_signed_rank(np.ones(4), np.ones(4), alternative=alternative)
    assert result == 1


def test_equal_pairs_are_left_out():
    first, second = np.array([1.0, 2, 3, 4]), np.array([0.0, 2, 1, 7])
    with_pair = significance.wilcoxon_signed_rank(first, second, alternative="two-sided")
    without = significance.wilcoxon_signed_rank(first[[0, 2, 3]], second[[0, 2, 3]], alternative="two-sided")
    assert with_pair == without


@pytest.mark.parametrize("lengths", [(3, 4), (1, 3), (0, 0)])
def test_refuses_lengths(lengths):
    with pytest.raises(ValueError, match="lengths"):
        significance.wilcoxon_signed_rank(np.ones(lengths[0]), np.ones(lengths[1]), alternative="less")


def test_refuses_nan():
    with pytest.raises(ValueError, match="finite"):
        significance.wilcoxon_signed_rank(np.array([1, np.nan]), np.ones(2), alternative="less")


def test_bonferroni():
    np.testing.assert_allclose(significance.bonferroni(np.array([0.01, 0.3, 0.5])), [0.03, 0.9, 1])
    np.testing.assert_array_equal(significance.bonferroni([0.25]), [0.25])
    assert significance.bonferroni(np.array([])).size == 0


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_bonferroni_refuses_what_is_no_probability(value):
    with pytest.raises(ValueError, match="p_values"):
        significance.bonferroni(np.array([0.5, value]))
