"""Labelled images in .npz files: both spellings, every accepted type, and one line for each fault."""

import numpy as np
import pytest

from data_pipelines.labelled_images import LabelledImages
from data_pipelines.readers import labelled_npz
from data_pipelines.readers.errors import ReadError

IMAGES = np.linspace(0, 1, 4 * 6, dtype=np.float32).reshape(4, 2, 3)
LABELS = np.array([7, 3, 7, 3])


def write(folder, **arrays):
    np.savez(folder / "set.npz", allow_pickle=False, **arrays)
    return folder / "set.npz"


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": IMAGES, "labels": LABELS},
        {"data": IMAGES, "targets": LABELS.astype(np.float32)},
        {"images": IMAGES[..., None].astype(np.float64), "labels": LABELS[:, None].astype(np.uint8)},
    ],
    ids=["ours", "authors", "channels"],
)
def test_both_spellings_are_read_alike(arrays, tmp_path):
    found = labelled_npz.read_labelled(write(tmp_path, **arrays))
    np.testing.assert_array_equal(found.images, IMAGES[..., None])
    assert (found.images.dtype, found.labels.dtype) == (np.float32, np.int32)
    assert (found.labels.tolist(), found.classes) == ([1, 0, 1, 0], ("3", "7"))


def test_bytes_become_shares_of_255(tmp_path):
    images = np.array([[[0, 51, 255]]], np.uint8)
    found = labelled_npz.read_labelled(write(tmp_path, images=images, labels=np.zeros(1, int)))
    np.testing.assert_allclose(found.images.ravel(), [0, 0.2, 1], rtol=1e-6)


def test_what_is_written_is_read_again(tmp_path):
    images = LabelledImages(IMAGES[..., None], np.array([0, 1, 1, 0], np.int32))
    found = labelled_npz.read_labelled(labelled_npz.write_labelled(tmp_path / "own.npz", images))
    np.testing.assert_array_equal(found.images, images.images)
    np.testing.assert_array_equal(found.labels, images.labels)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": None}, r"the arrays labels; wanted one called images or data"),
        ({"targets": LABELS}, r"wanted one called labels or targets"),
        ({"images": np.zeros((4, 2, 3, 3), np.float32)}, r"shape \(4, 2, 3, 3\)"),
        ({"images": np.zeros((0, 2, 3), np.float32)}, r"shape \(0, 2, 3\)"),
        ({"images": 255 * IMAGES}, r"values from 0 to 255; wanted 0 to 1"),
        ({"images": np.full_like(IMAGES, np.nan)}, r"values from nan"),
        ({"images": np.zeros((4, 2, 3), np.int16)}, r"images of int16"),
        ({"labels": LABELS[:3]}, r"\(3,\); wanted a whole number for each of 4 images"),
        ({"labels": LABELS + 0.5}, r"labels of float64"),
        ({"labels": np.array([0, 1, np.inf, 1])}, r"labels of float64"),
        ({"labels": LABELS == 3}, r"labels of bool"),
    ],
)
def test_faults_get_one_line(changed, message, tmp_path):
    arrays = {"images": IMAGES, "labels": LABELS} | changed
    file = write(tmp_path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(ReadError, match=message):
        labelled_npz.read_labelled(file)
