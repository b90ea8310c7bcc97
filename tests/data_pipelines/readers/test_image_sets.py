"""Sets of images with classes, each reader on made files, and MedMNIST on real ones."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_pipelines.readers import cifar10, covid_radiography, image_sets, medmnist
from data_pipelines.readers.errors import ReadError


def write_cifar10(folder, count=4):
    generator = np.random.default_rng(0)
    for name in cifar10.FILES:
        records = generator.integers(0, 256, (count, 3073), np.uint8)
        records[:, 0] %= 10
        records.tofile(folder / name)
    return records


def write_medmnist(file, **changes):
    arrays = {}
    for number, part in enumerate(("train", "val", "test")):
        arrays[f"{part}_images"] = np.full((3, 5, 5), number, np.uint8)
        arrays[f"{part}_labels"] = np.array([[0], [1], [number % 2]], np.uint8)
    np.savez(file, **{**arrays, **changes})


def write_radiographs(
    folder, names=("Normal/images", "COVID/images", "Viral Pneumonia/images", "Lung_Opacity")
):
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        pixels = np.full((6, 6, 3) if number == 1 else (6, 6), 40 * number, np.uint8)
        Image.fromarray(pixels).save(folder / name / f"x-{number}.png")


def test_cifar10_is_read_as_it_is_laid_out(tmp_path):
    last = write_cifar10(tmp_path)
    found = image_sets.read_set(tmp_path, tmp_path, 0)
    assert found.images.shape == (24, 32, 32, 3)
    assert found.parts.tolist() == [0] * 20 + [2] * 4
    assert found.labels[20:].tolist() == last[:, 0].tolist()
    # Record: class, then 1024 red values, then green, then blue.
    np.testing.assert_array_equal(found.images[21, 1, 2], last[1, [1 + 34, 1 + 1024 + 34, 1 + 2048 + 34]])
    (tmp_path / "cifar-10-batches-bin").mkdir()
    with pytest.raises(ReadError, match="no file"):
        cifar10.read_cifar10(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "0 bytes"), (b"\x01" * 3074, "3074"), (b"\x0a" * 3073, "class 10")]
)
def test_damaged_cifar10_is_refused(tmp_path, content, message):
    write_cifar10(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(ReadError, match=message):
        cifar10.read_cifar10(tmp_path)


def test_medmnist_keeps_its_parts(tmp_path):
    write_medmnist(tmp_path / "set.npz")
    found = image_sets.read_set(tmp_path, tmp_path, 0)
    assert found.images.shape == (9, 5, 5, 1)
    assert found.parts.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert found.classes == ("0", "1")
    assert medmnist.read_medmnist(tmp_path / "set.npz", ("normal", "pneumonia")).classes[1] == "pneumonia"
    write_medmnist(tmp_path / "other.npz")
    with pytest.raises(ReadError, match=r"2 \.npz files"):
        image_sets.read_set(tmp_path, tmp_path, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_images": np.zeros((3, 5, 5), np.float32)}, "val_images of float32"),
        ({"val_images": np.zeros((3, 4, 4), np.uint8)}, "several sizes"),
        ({"test_labels": np.zeros(3, np.uint8)}, "test_labels"),
        ({"test_labels": np.full((3, 1), 2, np.uint8)}, "the class 2"),
        ({"test_labels": np.full((3, 1), -1)}, "negative classes"),
    ],
)
def test_damaged_medmnist_is_refused(tmp_path, changes, message):
    write_medmnist(tmp_path / "set.npz", **changes)
    with pytest.raises(ReadError, match=message):
        medmnist.read_medmnist(tmp_path / "set.npz", ("normal", "pneumonia"))


def test_radiographs_are_grey_and_resized(tmp_path):
    write_radiographs(tmp_path / "data")
    found = image_sets.read_set(tmp_path / "data", tmp_path / "cache", 3)
    assert found.images[:, 0, 0, 0].tolist() == [0, 40, 80]
    assert found.images.shape == (3, 3, 3, 1)
    assert found.labels.tolist() == [0, 1, 2]
    assert image_sets.inspect_set(tmp_path / "data") == ("3 images: NC 1, NCP 1, CP 1\n0 problems", 0)
    (tmp_path / "data/COVID/images/x-1.png").write_bytes(b"no image")
    report, problems = image_sets.inspect_set(tmp_path / "data")
    assert problems == 1
    assert "x-1.png: found a damaged image" in report


def test_folders_without_the_classes_are_refused(tmp_path):
    write_radiographs(tmp_path, ("normal", "covid", "viral"))
    assert len(covid_radiography.find_radiographs(tmp_path)) == 3
    write_radiographs(tmp_path, ("Viral Pneumonia",))
    with pytest.raises(ReadError, match="2 folders of the class CP"):
        covid_radiography.find_radiographs(tmp_path)
    report, problems = image_sets.inspect_set(tmp_path)
    assert problems == 1
    assert "2 folders of the class CP" in report


def test_grey_images_are_read_by_name(tmp_path):
    write_radiographs(tmp_path, ("one", "one_more"))
    names, images = image_sets.read_grey_images(tmp_path / "one_more", 4)
    assert names == ["x-1.png"]
    assert images.shape == (1, 4, 4, 1)
    assert (images == 40).all()
    with pytest.raises(ReadError, match="no images"):
        image_sets.read_grey_images(tmp_path, 4)


@pytest.mark.skipif("JAXMED_TEST_DATA" not in os.environ, reason="JAXMED_TEST_DATA names no folder")
def test_pneumoniamnist_is_read():
    folder = Path(os.environ["JAXMED_TEST_DATA"]) / "cxr_pneumoniamnist"
    if not folder.is_dir():
        pytest.skip("no cxr_pneumoniamnist")
    found = image_sets.read_set(folder, folder, 0)
    assert found.images.shape[1:] == (28, 28, 1)
    assert np.bincount(found.parts).tolist() == [2428, 270, 468]
    assert np.bincount(found.labels).tolist() == [1583, 1583]
