"""Variety within a set of volumes, distance of slices, and change by scale."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.metrics import volume_sets


def draw(count, seed=0, shape=(12, 12, 12, 1)):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def test_copies_are_alike_and_others_are_not():
    copies = np.repeat(draw(1), 3, axis=0)
    options = {"data_range": 8.0, "window_size": 5}
    np.testing.assert_allclose(volume_sets.pair_similarities(copies, 4, **options), 1, atol=1e-5)
    different = volume_sets.pair_similarities(draw(3), 4, **options)
    assert different.shape == (4,) and different.max() < 0.5
    with pytest.raises(ValueError, match="wanted two or more"):
        volume_sets.pair_similarities(draw(1), 1, **options)


def test_slices_of_the_middle_are_compared_along_the_axis():
    first, second = draw(20), draw(20)
    second[:, :, 6] += 3

    def features(slices):
        return jnp.stack([slices.mean(axis=(1, 2, 3)), slices.std(axis=(1, 2, 3))], axis=1)

    distances = volume_sets.slice_distances(first, second, "abc", features)
    assert distances["FD-b"] == pytest.approx(9, rel=1e-3)
    assert max(distances["FD-a"], distances["FD-c"]) < 2
    # About (a . b / 2 + 1)^3 of the mean features: (0, 1) against themselves, (3, 1), and both mixed.
    assert distances["KD-b"] == pytest.approx(1.5**3 + 6**3 - 2 * 1.5**3, rel=0.05)
    assert max(abs(distances["KD-a"]), abs(distances["KD-c"])) < 2


def test_a_constant_changes_shape_and_a_lattice_detail():
    before = np.zeros((2, 16, 16, 16))
    lattice = np.indices((16, 16, 16)).sum(axis=0) % 2 * 2.0 - 1
    after = np.stack([np.ones((16, 16, 16)), lattice])
    change = volume_sets.change_by_scale(before, after, 2.0)
    np.testing.assert_allclose(change["coarse change"], [1, 0], atol=0.01)
    np.testing.assert_allclose(change["fine change"], [0, 1], atol=0.01)
    np.testing.assert_allclose(change["fine share"], [0, 1], atol=0.01)
