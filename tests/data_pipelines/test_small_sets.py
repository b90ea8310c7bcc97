import numpy as np
import pytest

from data_pipelines import small_sets
from data_pipelines.readers.errors import ReadError


@pytest.fixture(scope="module")
def digits():
    return small_sets.character_sets(500, (8, 8), None)


def test_digits_are_split_as_in_the_paper(digits):
    assert tuple(digits) == small_sets.CHARACTER_SETS
    for one in digits.values():
        assert len(one.train.labels) == 400 and len(one.validation.labels) == 100
        assert len(one.test.labels) == 1297
        assert one.train.images.min() >= 0 and one.train.images.max() <= 1
    assert set(np.bincount(digits["balanced"].train.labels)) == {40}
    counts = np.bincount(digits["unbalanced"].train.labels)
    assert counts.max() > 8 * counts.min()


def test_the_varied_set_has_mirrored_digits(digits):
    plain = {image.tobytes() for image in small_sets.sklearn_digits((8, 8)).images}
    share = np.mean([image.tobytes() in plain for image in digits["varied"].test.images])
    assert 0.42 < share < 0.58


def test_sets_do_not_change(digits):
    again = small_sets.character_sets(500, (8, 8), None)
    for name, one in digits.items():
        np.testing.assert_array_equal(one.train.images, again[name].train.images)


def test_brains_have_the_numbers_of_the_paper():
    one = small_sets.brain_sets((24, 20), None)["brains"]
    counts = [np.bincount(part.labels).tolist() for part in (one.train, one.validation, one.test)]
    assert counts == [[221, 70], [32, 10], [63, 20]]


def test_real_files_keep_their_own_test_images(characters, tmp_path):
    sets = small_sets.character_sets(50, (28, 28), characters)
    assert len(sets["balanced"].test.labels) == 40
    assert len(sets["varied"].test.labels) == 100
    assert set(sets["varied"].train.labels) == set(range(10))
    for one in sets.values():
        row = one.test.images[:, 0, :, 0] * 255
        assert np.allclose(row, row[:, :1], atol=1e-3)
    with pytest.raises(ReadError, match="0 files train-images"):
        small_sets.character_sets(50, (28, 28), tmp_path / "empty")


def test_each_source_has_the_sets_that_are_announced(tmp_path):
    for source in ("characters", "brains"):
        sets = small_sets.read_sets(source, None, tmp_path, (8, 8), 500, 2)
        assert tuple(sets) == small_sets.SETS[source]
    with pytest.raises(ReadError, match="--data-dir: found none; wanted the folder of the images"):
        small_sets.read_sets("folder", None, tmp_path, (8, 8), 500, 2)


def write_own(folder, counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.full((len(labels), 4, 4), 0.5, np.float32) + np.arange(len(labels))[:, None, None] / 1000
    np.savez(folder / "set.npz", allow_pickle=False, images=images, labels=labels)


def test_own_images_are_split_class_by_class(tmp_path):
    write_own(tmp_path, (10, 40, 21))
    sets = small_sets.read_sets("folder", tmp_path, tmp_path / "cache", (4, 4), 500, 3)
    assert tuple(sets) == small_sets.SETS["folder"]
    one = sets["images"]
    parts = (one.train, one.validation, one.test)
    counts = [np.bincount(part.labels).tolist() for part in parts]
    assert counts == [[7, 28, 15], [1, 4, 2], [2, 8, 4]]
    every = np.concatenate([part.images[:, 0, 0, 0] for part in parts])
    assert len(np.unique(every)) == 71


def test_own_images_must_suit(tmp_path):
    write_own(tmp_path, (10, 12))
    with pytest.raises(ReadError, match="2 classes: 0, 1; wanted as many as num_classes says, 3"):
        small_sets.own_sets(tmp_path, tmp_path, (4, 4), 3)
    write_own(tmp_path, (10, 9))
    with pytest.raises(ReadError, match="9 images of the class 1; wanted 10 or more"):
        small_sets.own_sets(tmp_path, tmp_path, (4, 4), 2)
