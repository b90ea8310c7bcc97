import numpy as np

from data_pipelines import side_by_side
from data_pipelines.labelled_images import LabelledImages


def make(count, first):
    numbers = np.arange(first, first + count, dtype=np.float32)
    images = np.broadcast_to(numbers[:, None, None, None], (count, 2, 2, 1))
    return LabelledImages(images, np.full(count, first, np.int32))


def test_whole_batches_hold_every_image_of_small_models_once():
    load = side_by_side.whole_batches([make(3, 10).images, make(50, 100).images], 8)
    rng = np.random.default_rng(0)
    found = [load(index, rng) for index in range(8)]
    assert [int(one["weight"][0]) for one in found] == [1, 1, 1, 0, 0, 0, 0, 0]
    assert [one["image"][0, 0, 0, 0] for one in found[:3]] == [10, 11, 12]
    assert not any(one["image"][0].any() for one in found[3:])
    large = [one["image"][1, 0, 0, 0] for one in found]
    assert all(100 <= value < 150 for value in large) and len(set(large)) > 4
    assert all(one["weight"][1] == 1 for one in found)


def test_random_batches_draw_all_images_of_their_own_set_alike():
    load = side_by_side.random_batches([make(4, 10), make(2, 100)])
    rng = np.random.default_rng(0)
    found = [load(0, rng) for _ in range(400)]
    labels = np.array([one["label"] for one in found])
    assert (labels == [10, 100]).all()
    first = np.array([one["image"][0, 0, 0, 0] for one in found])
    counts = np.bincount(first.astype(int) - 10)
    assert len(counts) == 4 and counts.min() > 70


def test_stacked_loaders_get_the_same_index_and_share_a_generator():
    loaders = [lambda index, rng, k=k: {"x": np.array([index + k, rng.random()])} for k in (0, 100)]
    found = side_by_side.stack_loaders(loaders)(7, np.random.default_rng(0))["x"]
    np.testing.assert_array_equal(found[:, 0], [7, 107])
    np.testing.assert_array_equal(found[:, 1], np.random.default_rng(0).random(2))
