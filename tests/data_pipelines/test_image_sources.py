"""Single images from a phantom or a folder: names, labels, and the same pixels as one by one."""

import numpy as np
import pytest
from PIL import Image

from data_pipelines import image_sources
from data_pipelines.phantoms import cardiac_views, lung_tumour
from data_pipelines.readers.errors import ReadError


def test_phantom_lists_its_kinds(tmp_path):
    source = image_sources.cardiac_phantom(6, 16, balanced=True, seed=3)
    np.testing.assert_array_equal(source.labels, [1, 1, 2, 2, 3, 3])
    assert source.names[:3] == ("cine la 2ch 0", "cine la 2ch 1", "cine la 3ch 0")
    images = source.stack(tmp_path)
    assert images.shape == (6, 16, 16)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[3], cardiac_views.draw_image(3, 2, 1, 16))


def test_other_seeds_are_other_images_in_the_same_cache(tmp_path):
    first, second = (
        image_sources.cardiac_phantom(3, 16, balanced=True, seed=seed).stack(tmp_path) for seed in (0, 1)
    )
    assert not np.array_equal(first, second)


def test_folder_has_labels_where_all_images_lie_in_sub_folders(tmp_path):
    for name in ("b/1.png", "a/2.png", "a/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5)).save(tmp_path / name)
    source = image_sources.image_folder(tmp_path, 4)
    assert source.names == ("a/2.png", "a/3.png", "b/1.png")
    np.testing.assert_array_equal(source.labels, [0, 0, 1])
    assert source.read(0).shape == (4, 4)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "4.png")
    assert image_sources.image_folder(tmp_path, 4).labels is None
    with pytest.raises(ReadError, match="no folder"):
        image_sources.image_folder(tmp_path / "c", 4)


def test_lung_tumours_are_named_by_class_patient_and_slice(tmp_path):
    source = image_sources.lung_tumours((2, 1), 2, 20, seed=5)
    assert source.names[:3] == ("adaptive/000_00", "adaptive/000_01", "adaptive/001_00")
    np.testing.assert_array_equal(source.labels, [0, 0, 0, 0, 1, 1])
    wanted = lung_tumour.draw_slice(5, 1, 0, 1, num_slices=2, size=20)
    np.testing.assert_array_equal(source.stack(tmp_path)[5], wanted)


def test_a_window_keeps_differences_of_brightness_between_files(tmp_path):
    for name, value in (("a", 50), ("b", 100)):
        pixels = np.full((4, 4), value, np.uint8)
        pixels[0, 0] = 20
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    fixed = image_sources.image_folder(tmp_path, 4, window=(0, 200))
    np.testing.assert_array_equal(fixed.read(0)[1:], round(255 * 50 / 200))
    np.testing.assert_array_equal(fixed.read(1)[1:], round(255 * 100 / 200))
    own = image_sources.image_folder(tmp_path, 4)
    assert own.read(0)[2, 2] == own.read(1)[2, 2]
    assert own.key != fixed.key
