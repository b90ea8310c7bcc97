import functools
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import nibabel as nib
import numpy as np
import pytest
import scipy.special

from data_pipelines import sphere_patches
from data_pipelines.phantoms import tof_mra
from experiments.aneurysm import application, config, evaluate, figures, tables
from experiments.aneurysm.algorithm import augment, make_model, watch
from experiments.aneurysm.data import Evaluation, example_batch
from experiments.contract import Data, FinishedRow
from jaxmed.infer.window_grid import place_windows
from jaxmed.metrics import confusion, overlap


def count(model, size):
    shape = jax.ShapeDtypeStruct((1, size, size, size, 1), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), shape)
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def test_parameters_of_the_paper():
    model = make_model(config.PRESETS["paper"])
    assert count(model.clone(use_bias=True), 48) == 16_320_257
    assert count(model, 48) == 16_320_257 - 2_336


def test_windows_of_a_volume_of_the_paper(monkeypatch):
    """A field of view of 240 mm and 254 slices of 0.4 mm: 19 x 19 x 8 = 2888 windows."""
    paper = config.PRESETS["paper"]
    placed = {}
    monkeypatch.setattr(
        evaluate.sliding_window,
        "make_sliding_window",
        lambda function, variables, window, batch_size, **how: placed.update(how, window=window),
    )
    evaluate.make_predictor(paper, SimpleNamespace(net=SimpleNamespace(variables={})))
    sizes = (paper.phantom.depth, paper.phantom.size, paper.phantom.size)
    how = (placed["overlap"], placed["weighting"])
    axes = [place_windows(n, one, *how) for n, one in zip(sizes, placed["window"], strict=True)]
    assert [len(axis.starts) for axis in axes] == [8, 19, 19]
    assert {float((weights > 0).sum()) for weights in axes[1].weights[1:-2]} == {32}


class Oracle:
    """Finds every sphere of the cases it is asked for, or nothing."""

    def __init__(self, arrays, value):
        self.arrays, self.value = arrays, value

    def __call__(self, config, state):
        def predict(volume):
            case = next(
                a
                for a in self.arrays.values()
                if a["image"].shape == volume.shape and np.allclose(a["image"] / np.float32(32767), volume)
            )
            return np.float32(self.value) * sphere_patches.mask_of(case["spheres"], volume.shape)

        return predict


def score(monkeypatch, tiny, tiny_data, tiny_state, value):
    oracle = Oracle(tiny_data.evaluation.arrays, value)
    monkeypatch.setattr(evaluate, "make_predictor", oracle)
    return evaluate.evaluate(tiny, tiny_state, tiny_data)


def test_perfect_predictions(monkeypatch, tiny, tiny_data, tiny_state):
    scores = score(monkeypatch, tiny, tiny_data, tiny_state, 1.0)
    assert set(scores["sensitivity"].values()) == {1.0}
    assert set(scores["false positives"].values()) == {0.0}
    assert scores["AUC"]["all"] == 1
    assert scores["sensitivity at best"]["all"] == 1
    sizes = {**scores["sensitivity below 3 mm"], **scores["sensitivity from 3 mm"]}
    lesions = sum(len(tiny_data.evaluation.arrays[case]["spheres"]) for case in tiny_data.evaluation.test)
    assert sum(value == 1 for value in sizes.values()) == lesions


def test_no_prediction(monkeypatch, tiny, tiny_data, tiny_state):
    scores = score(monkeypatch, tiny, tiny_data, tiny_state, 0.0)
    assert set(scores["sensitivity"].values()) == {0.0}
    assert set(scores["component voxels"].values()) == {0.0}
    assert scores["AUC"]["all"] == 0


def test_patches_of_the_test_set_are_all_counted(tiny, tiny_data, tiny_state):
    scores = evaluate.evaluate(tiny, tiny_state, tiny_data)
    centres = sphere_patches.list_centres(
        tiny_data.evaluation.arrays, tiny_data.evaluation.test, tiny.num_negatives
    )
    counts = {name: scores[f"patch {name}"]["all"] for name in ("TP", "FP", "FN", "TN")}
    assert sum(counts.values()) == len(centres)
    assert counts["TP"] + counts["FN"] >= sum(centre.is_positive for centre in centres)


def test_a_volume_without_any_vessel_is_evaluated(tiny, tiny_state):
    shape = (tiny.phantom.depth, tiny.phantom.size, tiny.phantom.size)
    bare = tof_mra.draw_angiogram(0, shape=shape, voxel_mm=tiny.voxel_mm, with_arteries=False)
    settings = {name: getattr(tiny, name) for name in ("voxel_mm", "num_negatives", "min_distance_mm")}
    case = sphere_patches.prepare("bare", bare.image, bare.spheres(tiny.voxel_mm), **settings)
    assert len(case["vessels"]) == tiny.num_negatives // 2
    made = Data("bare", lambda step: iter(()), Evaluation({"bare": case}, ("bare",), ()))
    scores = evaluate.evaluate(tiny, tiny_state, made)
    assert np.isnan(list(scores["sensitivity"].values())).all()
    assert np.isnan(scores["AUC"]["all"])
    assert np.isfinite(scores["false positives"]["bare"])
    assert scores["patch TP"]["all"] == scores["patch FN"]["all"] == 0


def test_labels_follow_the_image(tiny):
    """Ramps along the axes say where each voxel of a patch comes from; the label must be the sphere there."""
    count, context = 4, example_batch(tiny)["image"].shape[1:]
    middle = (np.array(context) - 1) / 2
    sphere = np.append(np.array([1.0, -2.0, 1.5]), 3.5)
    spheres = np.full((count, sphere_patches.NUM_SPHERES, 4), -1, np.float32)
    spheres[:, 0] = sphere
    small = replace(tiny, max_shift_mm=1.6, patch_size=12)
    warped = jax.jit(functools.partial(augment, small))
    places, label = [], None
    for axis in range(3):
        ramp = (1000 * np.indices(context)[axis]).astype(np.int16)
        batch = {"image": np.stack([ramp] * count), "spheres": spheres}
        batch["distortion"] = np.array([0, 0, 1.5, 1.5], np.float32)
        images, label = warped(batch, jax.random.key(3))
        places.append(np.asarray(images)[..., 0] * sphere_patches.FULL_SCALE / 1000 - middle[axis])
    distance = np.linalg.norm(np.stack(places, axis=-1) - sphere[:3], axis=-1)
    clear = np.abs(distance - sphere[3]) > 1e-3
    np.testing.assert_array_equal(np.asarray(label)[..., 0][clear], (distance <= sphere[3])[clear])
    assert (np.asarray(label).sum(axis=(1, 2, 3, 4)) > 50).all()


def test_prediction_lies_on_the_scans_own_grid(tiny, tiny_state, tmp_path):
    affine = np.diag([-0.9, -0.8, 1.1, 1.0])
    voxels = np.random.default_rng(0).normal(100, 5, (30, 34, 28)).astype(np.float32)
    image = nib.Nifti1Image(voxels, affine)
    image.set_qform(affine, code="scanner")
    nib.save(image, tmp_path / "scan.nii.gz")
    application.predict(tiny, tiny_state, tmp_path / "scan.nii.gz", tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.shape == voxels.shape
    np.testing.assert_allclose(mask.affine, affine)
    assert set(np.unique(np.asarray(mask.dataobj))) <= {0, 1}


def test_sample_draws_patches(tiny, tmp_path):
    (file,) = application.sample(tiny, None, None, tmp_path)
    assert file.stat().st_size > 1000


def test_published_numbers_stand_in_their_rows(tiny):
    rows = {row.label: row for row in tables.rows(tiny)}
    assert rows["Model0"].published["sensitivity"].mean == 0.970
    assert rows["Model1 (focal)"].published["false positives"].mean == 0.190
    assert rows["Model4 (100 negatives)"].published["patch TN"].mean == 2191
    assert len(rows["Model0, five folds"].configs) == tiny.cross_validation_folds
    assert {config.num_validation for config in rows["Model0, five folds"].configs} == {0}


def test_figures_are_drawn(tiny, tiny_data, tiny_state, tmp_path):
    scores = evaluate.evaluate(tiny, tiny_state, tiny_data)
    row = FinishedRow(tables.rows(tiny)[0], (scores, scores), lambda k: (tiny, tiny_state, tiny_data))
    files = figures.draw_figures([row], tmp_path)
    names = ["fig2-froc.png", "fig3-detections.png", "kappa-and-dice.png"]
    assert [file.name for file in files] == names
    files = figures.draw_figures([replace(row, read_log=lambda k: [line(10), line(20)])], tmp_path)
    assert [file.name for file in files] == [*names, "fig3-training.png"]
    assert all(file.stat().st_size > 1000 for file in files)


def line(step, found=0.01, missed=0.0):
    shares = {"true positives": found, "false positives": 0.0, "false negatives": missed}
    shares["true negatives"] = 1 - found - missed
    return {"step": step, "soft dice": 0.5, **{name.replace(" ", "_"): v for name, v in shares.items()}}


def test_training_curves_pool_the_voxels_of_a_fortieth_of_the_training():
    """Two lines each: first nothing is found, then half, then all; the last fortieth holds no aneurysm."""
    pairs = (
        [((0.0, 0.02), (0.0, 0.02)), ((0.02, 0.0), (0.0, 0.02))] + [((0.02, 0.0),) * 2] * 37 + [((0, 0),) * 2]
    )
    log = [line(step, *shares) for step, shares in enumerate((one for pair in pairs for one in pair), 1)]
    curves = figures.training_curves(log)
    steps, kappa = curves["Cohen's kappa"]
    np.testing.assert_array_equal(steps, np.arange(2, 81, 2))
    half = confusion.cohen_kappa(confusion.Confusion(0.01, 0.0, 0.01, 0.98))
    np.testing.assert_allclose(kappa, [0, half, *[1] * 37, np.nan])
    np.testing.assert_allclose(curves["Dice of the same mask"][1][:3], [0, 2 / 3, 1])
    np.testing.assert_allclose(curves["Dice of probabilities, by batches"][1], 0.5)
    assert figures.training_curves([]) == {}


def test_what_is_watched_in_training_is_what_the_table_scores():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 5, 5, 5, 1)).astype(np.float32)
    labels = rng.integers(0, 2, logits.shape).astype(np.float32)
    probabilities = scipy.special.expit(logits)
    found = jax.jit(functools.partial(watch, 0.3))(logits, labels)
    counts = confusion.count(probabilities > 0.3, labels > 0)
    shares = [float(found[name]) for name in confusion.Confusion._fields]
    np.testing.assert_allclose(shares, np.array(counts) / labels.size, rtol=1e-6)
    np.testing.assert_allclose(found["soft dice"], overlap.soft_dice(probabilities, labels), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"), [({"fold": 2}, "wanted 0 to 1"), ({"threshold": 1.0}, "threshold")]
)
def test_config_refuses(tiny, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(tiny, **changes)
