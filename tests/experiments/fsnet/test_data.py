"""Splits, batches of several sets, real data, and what is done with scans."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from data_pipelines.imaging_sets import SETS
from experiments.fsnet import application, data, evaluate
from experiments.fsnet.config import choose

SHAPE = (16, 16, 6)


def test_no_case_is_trained_and_tested_on(tiny, tiny_data):
    split = tiny_data.evaluation.split
    assert not set(split.train) & set(split.test)
    assert (len(split.train), len(split.test)) == (tiny.chosen.num_train, tiny.chosen.num_test)


def test_batches_of_the_other_sets_have_no_target(tiny_data):
    batch = next(tiny_data.evaluation.batches(("mnms",))(0))
    assert set(batch) == {"image_mnms", "label_mnms"}
    assert batch["label_mnms"].max() <= len(SETS["mnms"].classes)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, np.diag([2.0, 2.0, 2.0, 1.0]))
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def write_sets(root, num_cases=3):
    """The hearts in their published layouts."""
    rng = np.random.default_rng(0)
    for number in range(num_cases):
        name = f"training_axial_full_pat{number}"
        write(root / "hvsmr" / f"{name}.nii.gz", rng.uniform(1, 100, SHAPE).astype(np.float32))
        write(root / "hvsmr" / f"{name}-label.nii.gz", rng.integers(0, 3, SHAPE).astype(np.uint8))
        name = f"A{number}_sa"
        write(root / "mnms" / f"{name}.nii.gz", rng.uniform(1, 100, (*SHAPE, 2)).astype(np.float32))
        write(root / "mnms" / f"{name}_gt.nii.gz", rng.integers(0, 4, (*SHAPE, 2)).astype(np.uint8))
    rows = "".join(f"A{number},1\n" for number in range(num_cases))
    (root / "mnms" / "table.csv").write_text("External code,ED\n" + rows)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    write_sets(root)
    return root


@pytest.fixture(scope="module")
def scan(published):
    return published / "hvsmr" / "training_axial_full_pat0.nii.gz"


def test_real_data_are_checked_and_batched(tiny, published, tmp_path):
    config = tiny
    report, problems = application.check_data(config, published)
    assert problems == 0
    assert report.count("cases: 3") == 2
    found = data.make_data(config, seed=0, data_dir=published, cache_dir=tmp_path)
    assert found.name == published.name
    batch = next(found.batches(0))
    assert {name: (array.shape, array.dtype) for name, array in batch.items()} == {
        name: (shape.shape, shape.dtype) for name, shape in data.example_batch(config).items()
    }


def test_predictions_lie_on_the_scan_s_own_grid(tiny, tiny_state, scan, tmp_path):
    config = replace(tiny, heart=replace(tiny.heart, pixel_mm=3.0))
    application.predict(config, tiny_state, scan, tmp_path / "out.nii.gz")
    found, original = nib.load(tmp_path / "out.nii.gz"), nib.load(scan)
    assert found.shape == original.shape
    np.testing.assert_allclose(found.affine, original.affine)
    assert set(np.unique(np.asarray(found.dataobj))) <= {0, 1, 2}


def test_pictures_of_all_sets_are_drawn(tiny, tiny_state, scan, tmp_path):
    files = application.sample(choose(tiny, "brain"), None, None, tmp_path)
    files += application.sample(tiny, tiny_state, None, tmp_path)
    files += application.sample(tiny, tiny_state, scan, tmp_path)
    assert len(files) == 5
    assert all(file.stat().st_size > 5000 for file in files)


def test_scores_are_dice_coefficients_of_the_target_s_classes(tiny, tiny_state, tiny_data):
    label = np.zeros((2, 4, 4), np.uint8)
    label[0], label[1, :2] = 1, 2
    found = np.where(label == 2, 0, label)
    assert evaluate.dice_by_class(tiny, found, label) == {"VM": 100.0, "BP": 0.0}
    scores = evaluate.evaluate(tiny, tiny_state, tiny_data)
    test = set(tiny_data.evaluation.split.test)
    assert {name: set(cases) for name, cases in scores.items()} == dict.fromkeys(
        ("VM", "BP", evaluate.MEAN), test
    )
    for case in test:
        assert scores[evaluate.MEAN][case] == pytest.approx((scores["VM"][case] + scores["BP"][case]) / 2)
    assert json.dumps(scores)
