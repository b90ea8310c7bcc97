import numpy as np
import pytest

from jaxmed.metrics import overlap


def interval(start, stop, size=12):
    mask = np.zeros((1, 1, size), bool)
    mask[..., start:stop] = True
    return mask


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ((0, 4), (0, 4), 1.0),
        ((0, 4), (4, 8), 0.0),
        ((0, 4), (2, 6), 2 * 2 / 8),
        ((0, 8), (6, 8), 2 * 2 / 10),
        ((0, 0), (0, 0), 1.0),
        ((0, 0), (3, 5), 0.0),
        ((3, 5), (0, 0), 0.0),
    ],
)
def test_intervals(first, second, wanted):
    assert overlap.dice(interval(*first), interval(*second)) == wanted
    assert overlap.dice(interval(*second), interval(*first)) == wanted


def test_number_masks_equal_bool_masks():
    first, second = interval(0, 5), interval(3, 9)
    wanted = overlap.dice(first, second)
    for dtype in (np.uint8, np.int16, np.float32):
        assert overlap.dice(first.astype(dtype), second.astype(dtype)) == wanted


def test_is_the_harmonic_mean_of_precision_and_recall():
    first, second = np.random.default_rng(0).integers(0, 2, (2, 4, 5, 6), dtype=np.uint8)
    both = (first & second).sum()
    precision, recall = both / first.sum(), both / second.sum()
    np.testing.assert_allclose(overlap.dice(first, second), 2 / (1 / precision + 1 / recall))


@pytest.mark.parametrize("value", [2.0, 0.5, -1.0, np.nan])
def test_refuses_what_is_no_mask(value):
    with pytest.raises(ValueError, match="target: holds"):
        overlap.dice(np.zeros(3), np.array([0, 1, value]))


def test_refuses_shapes_that_would_broadcast():
    with pytest.raises(ValueError, match="shape"):
        overlap.dice(np.zeros((2, 3), bool), np.zeros((1, 3), bool))


def test_shares_of_what_is_found_and_what_is_right():
    # 4 found, 6 wanted, 2 of them both, of 12.
    found, wanted = interval(4, 8), interval(6, 12)
    assert overlap.sensitivity(found, wanted) == 2 / 6
    assert overlap.precision(found, wanted) == 2 / 4
    assert overlap.specificity(found, wanted) == 4 / 6
    assert overlap.specificity(~found, ~wanted) == overlap.sensitivity(found, wanted)
    assert overlap.precision(wanted, found) == overlap.sensitivity(found, wanted)


def test_shares_of_nothing_are_not_a_number():
    empty, some = interval(0, 0), interval(3, 5)
    assert np.isnan(overlap.sensitivity(some, empty))
    assert np.isnan(overlap.precision(empty, some))
    assert np.isnan(overlap.specificity(some, ~empty))
    with pytest.raises(ValueError, match="shape"):
        overlap.sensitivity(np.zeros((2, 3), bool), np.zeros((1, 3), bool))


def test_soft_dice_by_hand():
    target = np.array([1, 1, 0, 0])
    certain = np.array([1.0, 0.0, 1.0, 0.0])
    assert overlap.soft_dice(certain, target, smooth=1e-9) == pytest.approx(overlap.dice(certain, target))
    assert overlap.soft_dice(certain / 2, target) == (2 * 0.5 + 1) / (1 + 2 + 1)
    assert overlap.soft_dice(np.full(4, 0.25), 0 * target) == 1 / 2
