import numpy as np
import pytest

from data_pipelines import image_study, side_by_side
from data_pipelines.labelled_images import ImageSet, LabelledImages


def labelled(count):
    images = np.arange(count, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 1), np.float32) / 100
    return LabelledImages(images, np.arange(count, dtype=np.int32) % 2)


@pytest.fixture
def sets():
    parts = {"a": labelled(6), "b": labelled(4)}
    return {name: ImageSet(part, part, part) for name, part in parts.items()}


def test_images_are_listed_set_by_set_and_class_by_class(sets):
    own = image_study.open_study(sets, 2, seed=0).class_images
    firsts = [np.rint(100 * images[:, 0, 0, 0]).tolist() for images in own]
    assert firsts == [[0, 2, 4], [1, 3, 5], [0, 2], [1, 3]]


def test_parts_are_given_set_by_set():
    study = image_study.open_study({"a": ImageSet(labelled(6), labelled(4), labelled(2))}, 2, seed=0)
    counts = {"train": 6, "validation": 4, "test": 2}
    for part, count in counts.items():
        assert study.images(part)["a"].shape == (count, 2, 2, 1)
        np.testing.assert_array_equal(study.labels(part)["a"], np.arange(count) % 2)


def test_processes_share_the_batches_that_one_would_have(sets):
    load = side_by_side.random_batches([one.train for one in sets.values()])

    def batches(seed=0, first_step=0, **processes):
        opened = image_study.open_study(sets, 4, seed, executor="threads", **processes)
        stream = opened.make_batches(load, 4)(first_step)
        return [next(stream) for _ in range(2)]

    whole = batches()
    parts = [batches(process_index=number, process_count=2) for number in range(2)]
    for step in range(2):
        joined = np.concatenate([part[step]["image"] for part in parts])
        np.testing.assert_array_equal(whole[step]["image"], joined)
    np.testing.assert_array_equal(batches(first_step=1)[0]["label"], whole[1]["label"])
    assert not np.array_equal(batches(seed=1)[0]["image"], whole[0]["image"])
