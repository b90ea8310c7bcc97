import numpy as np
import pytest

from jaxmed.metrics import agreement


def test_by_hand():
    result = agreement.bland_altman(np.array([10, 20, 30]), np.array([9, 18, 33]))
    np.testing.assert_array_equal(result.mean, [9.5, 19, 31.5])
    np.testing.assert_array_equal(result.difference, [1, 2, -3])
    assert result.bias == 0
    np.testing.assert_allclose(result.upper, 1.96 * np.sqrt(14 / 2))
    assert result.lower == -result.upper


def test_constant_offset_has_no_spread():
    values = np.arange(5.0)
    result = agreement.bland_altman(values + 2, values)
    assert (result.bias, result.lower, result.upper) == (2, 2, 2)


def test_exchanging_the_measurements_mirrors_the_limits():
    first, second = np.random.default_rng(0).normal(size=(2, 20))
    one, other = agreement.bland_altman(first, second), agreement.bland_altman(second, first)
    np.testing.assert_allclose([one.bias, one.lower, one.upper], [-other.bias, -other.upper, -other.lower])
    np.testing.assert_array_equal(one.mean, other.mean)


def test_limits_hold_95_percent_of_normal_differences():
    first, second = np.random.default_rng(0).normal(size=(2, 100_000))
    result = agreement.bland_altman(first, second)
    inside = (result.difference > result.lower) & (result.difference < result.upper)
    np.testing.assert_allclose(inside.mean(), 0.95, atol=0.003)


@pytest.mark.parametrize("lengths", [(3, 4), (1, 1), (0, 0)])
def test_refuses_lengths(lengths):
    with pytest.raises(ValueError, match="lengths"):
        agreement.bland_altman(np.ones(lengths[0]), np.ones(lengths[1]))


def test_refuses_nan():
    with pytest.raises(ValueError, match="finite"):
        agreement.bland_altman(np.array([1, np.nan]), np.ones(2))
