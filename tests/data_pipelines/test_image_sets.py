import numpy as np
import pytest

from data_pipelines import image_sets
from data_pipelines.image_sets import ImagePart


@pytest.fixture
def pool():
    """Images that hold their own number."""
    images = np.broadcast_to(np.arange(300.0, dtype=np.float32)[:, None, None, None], (300, 2, 2, 1))
    return ImagePart(images, np.arange(300, dtype=np.int32) % 3)


def numbers(part):
    return set(part.images[:, 0, 0, 0])


@pytest.mark.parametrize("how", ["select", "split"])
def test_parts_are_disjoint_and_complete(pool, how):
    rng = np.random.default_rng(0)
    if how == "select":
        one = image_sets.select(rng, pool, [1, 1, 1], 90, train_share=0.8)
        sizes = (72, 18, 210)
    else:
        one = image_sets.split(rng, pool, (0.7, 0.1))
        sizes = (210, 30, 60)
    parts = (one.train, one.validation, one.test)
    assert tuple(len(part.labels) for part in parts) == sizes
    assert sum(len(numbers(part)) for part in parts) == 300 == len(set.union(*map(numbers, parts)))
    for part in parts:
        assert set(np.bincount(part.labels)) == {len(part.labels) // 3}
        np.testing.assert_array_equal(part.images[:, 0, 0, 0] % 3, part.labels)


def test_selection_follows_the_weights_within_limits(pool):
    one = image_sets.select(np.random.default_rng(0), pool, [8, 1, 0.01], 120, train_share=0.8)
    assert np.bincount(one.train.labels).tolist() == [79, 10, 4]
    assert np.bincount(one.test.labels).min() >= 1
    small = pool.take(np.arange(12))
    with pytest.raises(ValueError, match="class 0 has 4 images"):
        image_sets.select(np.random.default_rng(0), small, [1, 1, 1], 9, train_share=0.8)


def test_resize_keeps_sizes_constants_and_ramps():
    ramp = np.broadcast_to(np.linspace(0, 1, 8), (2, 8, 8))
    same = image_sets.resize(ramp, (8, 8))
    np.testing.assert_allclose(same[..., 0], ramp, rtol=1e-6)
    double = image_sets.resize(ramp, (16, 16))
    assert double.shape == (2, 16, 16, 1) and double.dtype == np.float32
    np.testing.assert_allclose(np.diff(double[0, 8, 2:-2, 0]), 1 / 14, rtol=1e-4)


def test_padding_says_what_is_there(pool):
    stacked, weight = image_sets.pad([pool.images[:2], pool.images[:5]])
    assert stacked.shape == (2, 5, 2, 2, 1)
    assert weight.sum(1).tolist() == [2, 5]
    assert not stacked[0, 2:].any()
