"""Splits, labels of each method, losses and schedule, printed tables, and what users call."""

import os
from dataclasses import replace
from pathlib import Path

import jax
import nibabel as nib
import numpy as np
import pydicom
import pytest

from data_pipelines.readers.errors import ReadError
from experiments.boxseg import algorithm, application, config, data, evaluate, run, tables
from experiments.boxseg.config import PRESETS
from experiments.verbs import predict, runs
from jaxmed.losses import box_constraints

REAL = os.environ.get("JAXMED_TEST_DATA")
needs_real_data = pytest.mark.skipif(not REAL, reason="JAXMED_TEST_DATA is not set")


def test_the_paper_tests_on_31_of_131_and_t_grows_to_its_value_after_50_epochs():
    paper = PRESETS["paper"]
    assert round(paper.test_share * 131) == 31
    steps = np.array([0, 1399, 1400, paper.num_steps], np.int32)
    found = jax.jit(jax.vmap(lambda step: algorithm.sharpness_at(paper, step)))(steps)
    np.testing.assert_allclose(found, [5, 5, 5.5, 586.954], rtol=1e-5)


def test_networks_of_the_paper_have_their_parameters():
    paper = PRESETS["paper"]
    state = jax.eval_shape(lambda: run.init_state(paper, jax.random.key(0)))

    def count(tree):
        return sum(leaf.size for leaf in jax.tree.leaves(tree))

    assert count(state.net.params) == 19_645_826 - 7840
    assert count(state.classifier) == 33_604_290


def test_fewer_labelled_cases_are_among_more_and_no_test_case_trains(tiny_data):
    study = tiny_data.evaluation
    assert not set(study.train) & set(study.test)
    assert len(study.train) + len(study.test) == 6


@pytest.mark.parametrize(("method", "name"), [("tight", "boxes"), ("loose", "loose_boxes")])
def test_each_method_has_its_boxes(method, name, tiny, tiny_data):
    study = tiny_data.evaluation
    found = data.given_boxes(replace(tiny, method=method), study, study.test)
    for case in study.test:
        np.testing.assert_array_equal(found[case], study.arrays[case][name])


def test_masks_train_the_full_supervision(tiny, tiny_data):
    full = replace(tiny, method="full")
    study = tiny_data.evaluation
    boxes = data.given_boxes(full, study, study.train)
    batch = next(data.slice_batches(full, study, boxes)(0))
    assert batch["label"].max() == 1
    assert "box" not in batch


def test_loss_is_the_weighted_sum_of_its_parts(tiny):
    logits = np.random.default_rng(0).normal(size=(2, 12, 12)).astype(np.float32)
    boxes, t = np.array([[2, 2, 9, 8], [0, 0, 0, 0]], np.int32), np.float32(7.0)

    @jax.jit
    def evaluate_parts(logits, boxes, t):
        probabilities = jax.nn.sigmoid(logits)
        return (
            box_constraints.tightness(probabilities, boxes, t, stripe=tiny.stripe, pixel_area=64.0),
            box_constraints.box_size(probabilities, boxes, t, shares=(0.5, 0.9), pixel_area=64.0),
            box_constraints.background_cross_entropy(logits, boxes),
            box_constraints.emptiness(probabilities, boxes, t),
        )

    box_loss = jax.jit(algorithm.box_loss, static_argnums=0)
    tightness, size, background, emptiness = map(np.asarray, evaluate_parts(logits, boxes, t))
    wanted = tiny.tightness_weight * tightness + tiny.size_weight * size + background
    np.testing.assert_allclose(box_loss(tiny, logits, boxes, t), wanted, rtol=1e-6)
    other = box_loss(replace(tiny, outside="emptiness"), logits, boxes, t)
    np.testing.assert_allclose(other, wanted + emptiness - background, rtol=1e-5)


def test_tightness_of_the_given_boxes(tiny_data):
    for case in tiny_data.evaluation.test:
        arrays = tiny_data.evaluation.arrays[case]
        assert evaluate.box_tightness(arrays["boxes"], arrays) == 1
        assert 0 < evaluate.box_tightness(arrays["loose_boxes"], arrays) < 0.6


def test_printed_rows_and_their_configs():
    dice, iou = (tables.TABLES[name].rows(PRESETS["demo"]) for name in ("table1", "table2"))
    assert [row.published["dice"].mean for row in dice] == [
        0.92,
        0.9,
        0.28,
        0.83,
        0.86,
        0.9,
        0.82,
        0.84,
        0.89,
    ]
    assert [row.published["box iou"].mean for row in iou[2:]] == [0.15, 0.87, 0.89, 0.93, 0.89, 0.89, 0.92]
    assert [row.configs for row in dice] == [row.configs for row in iou]
    corrected = [(row.configs[0].patch_size, row.configs[0].num_labelled) for row in dice[3:]]
    assert corrected == [(4, 5), (4, 10), (4, 20), (8, 5), (8, 10), (8, 20)]
    paper = tables.rows("dice", PRESETS["paper"])[-1].configs
    assert [(c.patch_size, c.num_labelled, c.fold) for c in paper] == [(32, 20, fold) for fold in range(3)]


@pytest.mark.parametrize(
    ("change", "match"),
    [({"fold": 3}, "fold is 3"), ({"test_share": 0.5}, "test_share is 0.5"), ({"stripe": 0}, "stripe")],
)
def test_refuses_settings_out_of_range(change, match):
    with pytest.raises(ValueError, match=match):
        config.Config(**change)


def test_mask_lies_on_the_grid_and_affine_of_the_scan(tiny, tiny_state, tmp_path):
    affine = np.diag([-9.0, 9.0, 5.0, 1.0])
    values = np.random.default_rng(0).integers(-1000, 300, (20, 24, 3)).astype(np.int16)
    image = nib.Nifti1Image(values, affine)
    image.set_qform(affine, code="scanner")
    nib.save(image, tmp_path / "scan.nii.gz")
    application.predict(tiny, tiny_state, tmp_path / "scan.nii.gz", tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.shape == image.shape
    np.testing.assert_allclose(mask.affine, affine)
    assert set(np.unique(mask.dataobj)) <= {0, 1}


@needs_real_data
def test_mask_of_a_real_liver_is_compared_with_its_segmentation(
    tiny, tiny_state, tmp_path, monkeypatch, capsys
):
    """An untrained network; the Dice coefficient anew from the files, without this library's readers."""
    name = runs.RunName("boxseg", "tiny", tiny, 0)
    monkeypatch.setattr(runs, "load", lambda folder: (None, name, tiny_state))
    folder, output = Path(REAL) / "ct_liver_dcmqi", tmp_path / "mask.nii.gz"
    options = predict.PredictOptions(tmp_path, folder, output, folder / "liver.dcm")
    assert predict.predict("boxseg", options) == 0
    mask = np.asarray(nib.load(output).dataobj).transpose() > 0
    liver = pydicom.dcmread(folder / "liver.dcm").pixel_array > 0
    assert mask.shape == liver.shape == (3, 512, 512)
    dice = 2 * (mask & liver).sum() / (mask.sum() + liver.sum())
    assert 0 < dice < 1
    assert capsys.readouterr().out.splitlines()[1] == f"Dice of all labels: {dice:.3f}"


def test_sample_draws_boxes_and_from_a_run_their_correction(tiny, tiny_state, tmp_path):
    drawn = application.sample(replace(tiny, method="corrected"), tiny_state, None, tmp_path)
    assert [file.name for file in drawn] == ["boxes-phantom.png", "correction-phantom.png"]
    with pytest.raises(ReadError, match="the pictures show the phantom"):
        application.sample(tiny, None, tmp_path, tmp_path)


def test_check_data_tells_how_tight_boxes_are_and_names_empty_labels(tiny, tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    mask = np.zeros((32, 32, 4), np.uint8)
    mask[8:24, 8:16, 1] = mask[16:24, 8:24, 2] = 1
    for name, label in (("a", mask), ("b", 0 * mask)):
        for folder, array in (("images", 100 * label.astype(np.int16) + 3), ("masks", label)):
            nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / folder / f"{name}.nii.gz")
    report, problems = application.check_data(tiny, tmp_path)
    assert problems == 1
    assert "problem: b: found a label without foreground" in report
    assert "3-D boxes, against the tight boxes of their slices: mean IoU 0.500 (0.500 to 0.500, 1" in report
    assert "patches of 4 pixels, against the tight boxes of their slices: mean IoU 1.000" in report
