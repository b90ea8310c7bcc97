import gzip
import struct

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


def write_idx(file, array):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    file.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


def test_real_files_keep_their_own_test_images(tmp_path):
    """Images whose first row holds the label, letters stored transposed."""
    counts = {"train": 200, "t10k": 40, "emnist-letters-train": 520, "emnist-letters-test": 260}
    for part, count in counts.items():
        letters = part.startswith("emnist")
        labels = np.arange(count) % 26 + 1 if letters else np.arange(count) % 10
        images = np.zeros((count, 28, 28))
        images[:, :, 0] = labels[:, None]
        if not letters:
            images = images.swapaxes(1, 2)
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", labels)
    sets = small_sets.character_sets(50, (28, 28), tmp_path)
    assert len(sets["balanced"].test.labels) == 40
    assert len(sets["varied"].test.labels) == 100
    assert set(sets["varied"].train.labels) == set(range(10))
    for one in sets.values():
        row = one.test.images[:, 0, :, 0] * 255
        assert np.allclose(row, row[:, :1], atol=1e-3)
    with pytest.raises(ReadError, match="0 files train-images"):
        small_sets.character_sets(50, (28, 28), tmp_path / "empty")
