import numpy as np
import pytest

from data_pipelines import labelled_images
from data_pipelines.index_plan import IndexPlan
from data_pipelines.labelled_images import LabelledImages


def make(count=6):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    return LabelledImages(images, np.arange(count, dtype=np.int32) % 3, ("a", "b", "c"))


@pytest.mark.parametrize(
    "changes",
    [{"images": np.zeros((6, 2, 2), np.uint8)}, {"labels": np.full(6, 3)}, {"labels": np.zeros(5, int)}],
)
def test_sets_that_are_none_are_refused(changes):
    with pytest.raises(ValueError, match="wanted"):
        LabelledImages(**{**vars(make()), **changes})


def test_parts_of_a_split_are_disjoint_and_of_the_size_asked_for():
    parts = labelled_images.split_randomly(101, (0.8, 0.1, 0.1), seed=3)
    assert [len(part) for part in parts] == [81, 10, 10]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(101))
    assert not np.array_equal(parts[2], labelled_images.split_randomly(101, (0.8, 0.1, 0.1), seed=4)[2])
    with pytest.raises(ValueError, match="wanted none below 0 and 1 in sum"):
        labelled_images.split_randomly(9, (0.8, 0.1), seed=0)


def test_thinning_keeps_the_first_class_and_the_ratio_of_the_last():
    labels = np.repeat(np.arange(3), 100)
    kept = labels[labelled_images.thin_out(labels, 0.25, seed=0)]
    assert np.bincount(kept).tolist() == [100, 50, 25]
    assert len(labelled_images.thin_out(labels, 1.0, seed=0)) == 300


def test_batches_hold_the_chosen_images_with_their_classes():
    plan, positions = IndexPlan(3, 2, seed=0), np.array([5, 1, 3])
    batches = labelled_images.make_batches(make(), positions, plan, slice(0, 2), 0)
    seen = np.concatenate([next(batches)["image"][:, 0, 0, 0] for _ in range(3)])
    assert sorted(seen.tolist()) == [1, 1, 3, 3, 5, 5]
    later = next(labelled_images.make_batches(make(), positions, plan, slice(1, 2), 7))
    np.testing.assert_array_equal(later["label"], positions[plan.indices(7)[1:]] % 3)


@pytest.fixture
def pool():
    """Images that hold their own number."""
    images = np.broadcast_to(np.arange(300.0, dtype=np.float32)[:, None, None, None], (300, 2, 2, 1))
    return LabelledImages(images, np.arange(300, dtype=np.int32) % 3)


def numbers(part):
    return set(part.images[:, 0, 0, 0])


@pytest.mark.parametrize("how", ["select", "split"])
def test_parts_are_disjoint_and_complete(pool, how):
    rng = np.random.default_rng(0)
    if how == "select":
        one = labelled_images.select(rng, pool, [1, 1, 1], 90, train_share=0.8)
        sizes = (72, 18, 210)
    else:
        one = labelled_images.split(rng, pool, (0.7, 0.1))
        sizes = (210, 30, 60)
    parts = (one.train, one.validation, one.test)
    assert tuple(len(part.labels) for part in parts) == sizes
    assert sum(len(numbers(part)) for part in parts) == 300 == len(set.union(*map(numbers, parts)))
    for part in parts:
        assert set(np.bincount(part.labels)) == {len(part.labels) // 3}
        np.testing.assert_array_equal(part.images[:, 0, 0, 0] % 3, part.labels)


def test_selection_follows_the_weights_within_limits(pool):
    one = labelled_images.select(np.random.default_rng(0), pool, [8, 1, 0.01], 120, train_share=0.8)
    assert np.bincount(one.train.labels).tolist() == [79, 10, 4]
    assert np.bincount(one.test.labels).min() >= 1
    small = pool.take(np.arange(12))
    with pytest.raises(ValueError, match="class 0 has 4 images"):
        labelled_images.select(np.random.default_rng(0), small, [1, 1, 1], 9, train_share=0.8)


def test_taken_and_joined_images_keep_their_classes():
    one = make()
    taken = one.take(np.array([4, 0]))
    assert taken.labels.tolist() == [1, 0]
    assert taken.images[:, 0, 0, 0].tolist() == [4, 0]
    assert one.take(one.labels == 2).labels.tolist() == [2, 2]
    joined = taken.join(one)
    assert joined.labels.tolist() == [1, 0, *one.labels]
    assert joined.classes == one.classes
