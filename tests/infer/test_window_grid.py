import numpy as np
import pytest

from jaxmed.infer.window_grid import place_windows

WEIGHTINGS = ("constant", "gaussian", "centre")


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("overlap", [0, 0.25, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("size", [1, 2, 5, 8, 48])
def test_windows_cover_every_voxel_and_weights_sum_to_one(size, overlap, weighting):
    for length in (1, 7, 8, 48, 50, 101):
        starts, weights = place_windows(length, size, overlap, weighting)
        total = np.zeros(max(length, size))
        for start, row in zip(starts, weights, strict=True):
            total[start - starts[0] :][:size] += row
        np.testing.assert_allclose(total, 1, atol=2e-7)
        assert weights.dtype == np.float32
        assert starts == sorted(set(starts))
        if length >= size:
            assert (starts[0], starts[-1] + size) == (0, length)


def test_window_larger_than_the_axis_is_centred_on_it():
    assert place_windows(5, 8, 0.5, "gaussian").starts == [-2]
    starts, weights = place_windows(4, 8, 0.5, "centre")
    assert starts == [-2]
    np.testing.assert_array_equal(weights, np.ones((1, 8)))


def test_starts_are_one_step_apart_and_the_last_window_is_shifted_back():
    assert place_windows(100, 48, 1 / 3, "constant").starts == [0, 32, 52]
    assert place_windows(112, 48, 1 / 3, "constant").starts == [0, 32, 64]
    assert place_windows(10, 4, 0.99, "constant").starts == list(range(7))
    assert place_windows(10, 4, 0, "constant").starts == [0, 4, 6]


def test_gaussian_is_the_stated_formula_where_windows_overlap():
    """Two windows of 8, 4 apart: at voxel 5, x = 5 in the first and 1 in the second; sigma = 1."""
    starts, weights = place_windows(12, 8, 0.5, "gaussian")
    assert starts == [0, 4]
    first, second = np.exp(-(1.5**2) / 2), np.exp(-(2.5**2) / 2)
    np.testing.assert_allclose(weights[0, 5], first / (first + second), rtol=1e-6)
    np.testing.assert_allclose(weights[1, 1], second / (first + second), rtol=1e-6)
    np.testing.assert_array_equal(weights[0, :4], 1)


def test_centre_keeps_the_central_32_of_48_and_the_margins_at_the_border():
    starts, weights = place_windows(112, 48, 1 / 3, "centre")
    assert starts == [0, 32, 64]
    kept = [np.flatnonzero(row) for row in weights]
    assert [(part[0], part[-1], len(part)) for part in kept] == [(0, 39, 40), (8, 39, 32), (8, 47, 40)]
    assert set(np.unique(weights)) == {0, 1}


@pytest.mark.parametrize("overlap", [-0.1, 1.0, float("nan")])
def test_overlap_outside_its_range_is_refused(overlap):
    with pytest.raises(ValueError, match=r"overlap: .*; wanted within \[0, 1\)"):
        place_windows(8, 4, overlap, "constant")


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="size 0 on an axis of length 8"):
        place_windows(8, 0, 0.5, "constant")
