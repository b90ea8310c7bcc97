"""Folders of images: every format, labels from sub-folders, damage, and how images get one size."""

import nibabel
import numpy as np
import pytest
from PIL import Image

from data_pipelines.readers import image_folder
from data_pipelines.readers.errors import ReadError

RNG = np.random.default_rng(0)


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    write_png(tmp_path / "short axis" / "a.png", RNG.integers(255, size=(9, 7), dtype=np.uint8))
    write_png(tmp_path / "short axis" / "deep" / "b.jpg", RNG.integers(255, size=(8, 8, 3), dtype=np.uint8))
    write_png(tmp_path / "c.png", RNG.integers(60_000, size=(5, 5), dtype=np.uint16))
    volume = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(5, 4, 3), np.eye(4))
    (tmp_path / "long axis").mkdir()
    nibabel.save(volume, tmp_path / "long axis" / "v.nii.gz")
    (tmp_path / "notes.txt").write_text("no image")
    write_png(tmp_path / ".hidden.png", np.zeros((4, 4), np.uint8))
    return tmp_path


def test_lists_every_image_with_its_label(folder):
    found = image_folder.find_images(folder)
    assert [(image.name, image.label) for image in found] == [
        ("c.png", None),
        ("long axis/v.nii.gz#0", "long axis"),
        ("long axis/v.nii.gz#1", "long axis"),
        ("long axis/v.nii.gz#2", "long axis"),
        ("short axis/a.png", "short axis"),
        ("short axis/deep/b.jpg", "short axis"),
    ]
    assert [image.read().shape for image in found] == [(5, 5), (4, 5), (4, 5), (4, 5), (9, 7), (8, 8)]
    assert all(image.read().dtype == np.float32 for image in found)


def test_slices_are_those_of_the_volume(folder):
    from data_pipelines.readers import nifti

    volume = nifti.read_volume(folder / "long axis" / "v.nii.gz").image
    slices = [image.read() for image in image_folder.find_images(folder) if image.position is not None]
    np.testing.assert_array_equal(np.stack(slices), volume)


def test_arrays_of_an_archive_are_volumes(tmp_path):
    volume = RNG.integers(2000, size=(3, 5, 4), dtype=np.uint16)
    np.savez_compressed(tmp_path / "late.npz", vol=volume)
    found = image_folder.find_images(tmp_path)
    assert [image.name for image in found] == ["late.npz/vol#0", "late.npz/vol#1", "late.npz/vol#2"]
    np.testing.assert_array_equal(np.stack([image.read() for image in found]), volume)
    np.savez(tmp_path / "labels.npz", labels=np.zeros(7))
    with pytest.raises(ReadError, match=r"labels of shape \(7,\), float64; wanted \(depth, height, width\)"):
        image_folder.find_images(tmp_path)


def test_damaged_files_are_named(folder):
    (folder / "c.png").write_bytes((folder / "c.png").read_bytes()[:40])
    image = image_folder.find_images(folder)[0]
    with pytest.raises(ReadError, match=r"c\.png"):
        image.read()
    (folder / "bad.dcm").write_bytes(b"nothing")
    with pytest.raises(ReadError, match=r"bad\.dcm"):
        image_folder.find_images(folder)


def test_inspection_counts_and_names_what_is_wrong(folder):
    report, num_problems = image_folder.inspect(folder)
    assert num_problems == 0
    assert "6 images, 3 labels" in report
    assert "  3 of 4 x 5 pixels" in report
    (folder / "c.png").write_bytes(b"")
    report, num_problems = image_folder.inspect(folder)
    assert num_problems == 1
    assert "c.png: found" in report


def test_empty_or_missing_folders_are_refused(tmp_path):
    with pytest.raises(ReadError, match="no image"):
        image_folder.find_images(tmp_path)
    with pytest.raises(ReadError, match="no folder"):
        image_folder.find_images(tmp_path / "none")


def test_images_become_squares_of_eight_bits():
    wide = np.zeros((10, 30), np.float32)
    wide[:, 10:20] = 5.0
    square = image_folder.to_square(wide, 30)
    assert square.dtype == np.uint8
    np.testing.assert_array_equal(square[10:20, 10:20], 255)
    assert square[:10].max() == 0
    assert square[10:20, :10].max() == 0
    np.testing.assert_array_equal(image_folder.to_square(np.full((6, 6), 3.0), 4), 0)
    ramp = np.tile(np.arange(64.0), (64, 1))
    small = image_folder.to_square(ramp, 16)
    assert (np.diff(small[8].astype(int)) >= 0).all()
    assert np.abs(np.diff(small[8, 2:-2].astype(int)) - 17).max() <= 2
    assert image_folder.to_square(ramp[:4, :4], 12).shape == (12, 12)
