"""Generators whose fault is known: they are planted here."""

import numpy as np
import pytest

from jaxmed.metrics import failure_modes, nearest_images

COUNT = 120


def draw(rng, count):
    """Images of smooth blobs, each its own."""
    grid = np.linspace(-1, 1, 16)
    x, y, width = rng.uniform(-0.6, 0.6, (3, count, 1, 1))
    noise = 0.15 * rng.random((count, 16, 16))
    blob = np.exp(-((grid[None, None, :] - x) ** 2 + (grid[None, :, None] - y) ** 2) / (0.1 + width**2))
    return (0.8 * blob + noise).astype(np.float32)


def judge(synthetic, real):
    itself = np.eye(COUNT, dtype=bool)
    to_real, to_others, baseline = (
        nearest_images.largest(nearest_images.ms_ssim_matrix(first, second), excluded)
        for first, second, excluded in (
            (synthetic, real, None),
            (synthetic, synthetic, itself),
            (real, real, itself),
        )
    )
    memorisation, collapse = (
        failure_modes.compare_with_baseline(found, baseline) for found in (to_real, to_others)
    )
    return memorisation, collapse


@pytest.fixture(scope="module")
def real():
    return draw(np.random.default_rng(0), COUNT)


def test_an_honest_generator_has_neither_fault(real):
    memorisation, collapse = judge(draw(np.random.default_rng(1), COUNT), real)
    assert not memorisation.is_found and not collapse.is_found
    assert 0.3 < memorisation.superiority < 0.7


def test_a_generator_that_copies_the_training_set_is_found(real):
    memorisation, collapse = judge(np.roll(real, 7, axis=0), real)
    assert memorisation.is_found and not collapse.is_found
    assert memorisation.extreme_share == 1 and memorisation.superiority == 1


def test_a_generator_that_copies_one_in_ten_is_found(real):
    synthetic = draw(np.random.default_rng(2), COUNT)
    synthetic[: COUNT // 10] = real[: COUNT // 10]
    memorisation, collapse = judge(synthetic, real)
    assert memorisation.is_found and not collapse.is_found


def test_a_generator_of_three_images_is_found(real):
    rng = np.random.default_rng(3)
    three = draw(rng, 3)[rng.integers(3, size=COUNT)]
    memorisation, collapse = judge((three + 0.01 * rng.random(three.shape)).astype(np.float32), real)
    assert collapse.is_found and not memorisation.is_found


def test_superiority_counts_pairs():
    found = failure_modes.compare_with_baseline(np.array([1.0, 2, 3]), np.array([1.0, 2, 4, 5]))
    np.testing.assert_allclose(found.superiority, (0.5 + 1.5 + 2) / 12)
    alike = failure_modes.compare_with_baseline(np.ones(4), np.ones(3))
    assert alike == failure_modes.Finding(0.5, 0.0, 1.0, False)
    with pytest.raises(ValueError, match="wanted one or more"):
        failure_modes.compare_with_baseline(np.array([]), np.ones(3))


def test_chance_is_that_of_a_permutation():
    """Of 12 similarities in random order, 6 are synthetic: how often are k above the largest real one?"""
    rng = np.random.default_rng(0)
    for count in (1, 2, 3):
        values = np.concatenate([np.arange(6) + 10.0, np.arange(6)])
        planted = np.where(np.arange(6) < count, values[:6], values[6:] - 0.5)
        expected = failure_modes.compare_with_baseline(planted, values[6:] + 0.0)
        assert expected.extreme_share == count / 6
        above = 0
        for _ in range(4000):
            order = rng.permutation(12)
            above += (order[:6] > order[6:].max()).sum() >= count
        np.testing.assert_allclose(expected.p_value, above / 4000, atol=0.03)
