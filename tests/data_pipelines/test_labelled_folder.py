import numpy as np
import pytest
from PIL import Image

from data_pipelines import labelled_folder
from data_pipelines.readers.errors import ReadError


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_images_of_a_file_are_resized(tmp_path):
    images = np.zeros((2, 4, 6), np.uint8)
    images[1] = 255
    np.savez(tmp_path / "set.npz", allow_pickle=False, images=images, labels=np.array([5, 9]))
    write_png(tmp_path / "beside.png", images[0])
    found = labelled_folder.read_folder(tmp_path, tmp_path / "cache", (2, 3))
    assert found.images.shape == (2, 2, 3, 1)
    np.testing.assert_allclose(found.images.mean(axis=(1, 2, 3)), [0, 1], atol=1e-6)
    assert (found.labels.tolist(), found.classes) == ([0, 1], ("5", "9"))


def test_sub_folders_are_classes(tmp_path):
    ramp = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for name, pixels in (("b/1", ramp), ("a/2", ramp.T), ("a/3", ramp + 100)):
        write_png(tmp_path / "set" / f"{name}.png", pixels)
    found = labelled_folder.read_folder(tmp_path / "set", tmp_path / "cache", (8, 8))
    assert (found.labels.tolist(), found.classes) == ([0, 0, 1], ("a", "b"))
    assert found.images.dtype == np.float32
    assert (found.images.min(), found.images.max()) == (0, 1)
    np.testing.assert_allclose(found.images[0, ..., 0], found.images[2, ..., 0].T, atol=0.01)
    # Each image has its own black and white.
    np.testing.assert_allclose(found.images[1], found.images[2], atol=0.01)


def test_what_is_no_set_gets_one_line(tmp_path):
    pixels = np.zeros((4, 4), np.uint8)
    write_png(tmp_path / "a" / "1.png", pixels)
    with pytest.raises(ReadError, match="sub-folders for images of 4 x 6 pixels; wanted a square"):
        labelled_folder.read_folder(tmp_path, tmp_path / "cache", (4, 6))
    write_png(tmp_path / "2.png", pixels)
    with pytest.raises(ReadError, match="images outside of sub-folders"):
        labelled_folder.read_folder(tmp_path, tmp_path / "cache", (4, 4))
    for name in ("one", "two"):
        np.savez(tmp_path / f"{name}.npz", allow_pickle=False, images=pixels[None])
    with pytest.raises(ReadError, match=r"2 \.npz files; wanted one"):
        labelled_folder.read_folder(tmp_path, tmp_path / "cache", (4, 4))


def test_reduced_set_of_the_authors_is_read(real_data, tmp_path):
    found = labelled_folder.read_folder(real_data / "rhvae_paper_sets", tmp_path, (28, 28))
    assert found.images.shape == (120, 28, 28, 1)
    assert (found.images.min(), found.images.max()) == (0, 1)
    assert (np.bincount(found.labels).tolist(), found.classes) == ([40, 41, 39], ("0", "1", "2"))
