import numpy as np
import pytest

from data_pipelines.image_sources import ImageSource
from data_pipelines.readers.errors import ReadError
from data_pipelines.split_images import SplitImages, equalise, split_classes


def source(names):
    """Images whose pixels are their numbers."""
    return ImageSource(
        {"names": list(names)}, tuple(names), None, lambda number: np.full((2, 2), number, np.uint8)
    )


NAMES = [f"{label}/p{patient}_{k}.png" for label in "ab" for patient in range(5) for k in range(4)]


def split(names, classes, tmp_path, **others):
    options = {"place": "here", "test_share": 0.4, "by_subject": True, "seed": 0, **others}
    return split_classes(source(names), tmp_path, classes, **options)


def test_subjects_stay_on_one_side(tmp_path):
    found = split(NAMES, ("a", "b"), tmp_path)
    for label, first in (("a", 0), ("b", 20)):
        own = found[label]
        assert own.train.shape == (12, 2, 2, 1) and own.test.shape == (8, 2, 2, 1)
        numbers = np.concatenate([own.train, own.test])[:, 0, 0, 0]
        np.testing.assert_array_equal(np.sort(numbers), np.arange(first, first + 20))
        expected = [NAMES[number].split("/")[0] + "/p" + NAMES[number][3] for number in numbers]
        np.testing.assert_array_equal(own.subjects, expected)
        assert not set(own.subjects[:12]) & set(own.subjects[12:])
        np.testing.assert_allclose(own.whole[:, 0, 0], numbers / 255, rtol=1e-6)


def test_images_without_subjects_are_split_one_by_one(tmp_path):
    own = split(NAMES, ("a",), tmp_path, by_subject=False)["a"]
    assert (len(own.train), len(own.test)) == (12, 8)
    assert len(set(own.subjects)) == 20


def test_a_flat_folder_is_one_class_of_any_name(tmp_path):
    names = [name.split("/")[1] for name in NAMES[:20]]
    assert len(split(names, ("images",), tmp_path)["images"].train) == 12


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(ReadError, match="0 images of 0 subjects of the class 'c'"):
        split(NAMES, ("a", "c"), tmp_path)
    with pytest.raises(ReadError, match="4 images of 1 subjects"):
        split(NAMES[:4], ("a",), tmp_path)


def test_sets_are_thinned_to_equal_numbers():
    first = SplitImages(np.arange(6).reshape(6, 1, 1, 1), np.arange(2).reshape(2, 1, 1, 1), np.arange(8))
    second = SplitImages(np.arange(3).reshape(3, 1, 1, 1), np.arange(4).reshape(4, 1, 1, 1), np.arange(7))
    one, other = equalise(first, second)
    assert (len(one.train), len(one.test)) == (len(other.train), len(other.test)) == (3, 2)
    np.testing.assert_array_equal(one.train.ravel(), [0, 2, 5])
    np.testing.assert_array_equal(one.subjects, [0, 2, 5, 6, 7])
    np.testing.assert_array_equal(other.test.ravel(), [0, 3])
