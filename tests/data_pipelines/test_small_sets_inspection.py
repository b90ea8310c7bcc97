"""Reports on complete folders, and on folders with planted faults."""

import numpy as np
import pytest
from PIL import Image

from data_pipelines import small_sets, small_sets_inspection
from data_pipelines.readers.errors import ReadError


def test_every_source_has_its_report():
    assert set(small_sets_inspection.INSPECTORS) == set(small_sets.SETS)


def test_characters_are_counted_and_missing_files_are_problems(characters):
    report, problems = small_sets_inspection.inspect_characters(characters)
    assert problems == 0
    assert "MNIST t10k: 40 images of 28 x 28 pixels; images by class: 0: 4, 1: 4" in report
    assert "EMNIST letters test: 100 images" in report
    next(characters.glob("emnist-letters-test-labels*")).unlink()
    next(characters.glob("train-images*")).write_bytes(b"short")
    report, problems = small_sets_inspection.inspect_characters(characters)
    assert problems == 2
    assert "2 problems\nMNIST train: " in report
    assert "EMNIST letters test: " in report and "0 files emnist-letters-test-labels" in report


def test_brains_are_counted_and_damaged_ones_are_problems(oasis):
    report, problems = small_sets_inspection.inspect_brains(oasis)
    assert (report, problems) == ("2 subjects: 1 healthy, 1 demented\n0 problems", 0)
    next(oasis.rglob("OAS1_0002*.img")).write_bytes(b"short")
    report, problems = small_sets_inspection.inspect_brains(oasis)
    assert report.startswith("1 subjects: 1 healthy, 0 demented\n1 problems\n") and problems == 1
    next(oasis.glob("*.csv")).unlink()
    report, problems = small_sets_inspection.inspect_brains(oasis)
    assert "2 images and 0 tables" in report and problems == 1


def test_own_images_are_counted(tmp_path):
    file, images = tmp_path / "set.npz", np.zeros((3, 4, 5), np.uint8)
    np.savez(file, allow_pickle=False, images=images, labels=np.array([1, 1, 4]))
    report, problems = small_sets_inspection.inspect_own(tmp_path)
    assert report == "set.npz: 3 images of 4 x 5 pixels; images by class: 1: 2, 4: 1\n0 problems"
    assert problems == 0
    file.write_bytes(file.read_bytes()[:-40])
    report, problems = small_sets_inspection.inspect_own(tmp_path)
    assert "1 problems\nset.npz: " in report and problems == 1


def test_images_without_a_class_are_problems(tmp_path):
    with pytest.raises(ReadError, match="no image"):
        small_sets_inspection.inspect_own(tmp_path)
    (tmp_path / "a").mkdir()
    for name in ("a/1.png", "2.png"):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / name)
    report, problems = small_sets_inspection.inspect_own(tmp_path)
    assert problems == 1
    assert "1 a" in report and "2.png: found no class; wanted the image in a sub-folder" in report
