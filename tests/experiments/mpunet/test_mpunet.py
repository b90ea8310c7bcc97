import functools
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.image
import nibabel as nib
import numpy as np
import pytest

from experiments.contract import FinishedRow
from experiments.mpunet import EXPERIMENT, algorithm, application, data, evaluate, figures, run, tables
from experiments.verbs import judgement
from jaxmed.ops.sparse_annotation import UNKNOWN

TINY, PAPER = EXPERIMENT.presets["tiny"], EXPERIMENT.presets["paper"]


@pytest.fixture(scope="module")
def make(cache_dir):
    """`make(config, seed)`: the phantom's data."""
    return lambda config, seed=0: data.make_data(config, seed=seed, data_dir=None, cache_dir=cache_dir)


@functools.cache
def init(config):
    return jax.jit(run.init_state, static_argnums=0)(config, jax.random.key(0))


@pytest.mark.parametrize(
    ("method", "shape", "wanted"),
    [("multi_planar", (1, 256, 256, 1), 31_044_289), ("unet_3d", (1, 64, 64, 64, 1), 19_072_769)],
)
def test_networks_have_the_published_number_of_parameters(method, shape, wanted):
    """The 3-D one: Çiçek's 19,069,955 with one channel in and out instead of three, and 4672 of its norms."""
    model = algorithm.make_model(replace(PAPER, method=method))
    shapes = jax.eval_shape(lambda key: model.init(key, jnp.zeros(shape), train=False), jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == wanted


def test_moving_statistics_of_the_multi_planar_network():
    """A mean and a variance of each of the 6,848 channels that are normalised."""
    model = algorithm.make_model(PAPER)
    shapes = jax.eval_shape(
        lambda key: model.init(key, jnp.zeros((1, 256, 256, 1)), train=False), jax.random.key(0)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["batch_stats"])) == 2 * 6_848 == 13_696
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 31_057_985


def test_one_patch_has_as_many_elements_as_four_planes():
    rows = {row.label: row.configs[0] for row in tables.rows("mitochondria", PAPER)}
    assert len(rows) == 2 * 4 * 5
    planar, cubes = rows["multi-planar n_a=16 n_t=512"], rows["3-D n_a=16 n_t=512"]
    assert (planar.batch_size, cubes.batch_size) == (4, 1)
    assert planar.batch_size * planar.plane_size**2 == cubes.batch_size * cubes.patch_size**3


def test_rows_of_the_demo_are_cells_of_the_paper_with_fewer_planes():
    labels = {row.label for row in tables.rows("cardiac", PAPER)}
    for row in tables.rows("cardiac", EXPERIMENT.presets["demo"]):
        assert row.label in labels
        n_a, n_t = row.configs[0].cell
        assert row.label.endswith(f" n_a={2 * n_a} n_t={8 * n_t}")


def test_gains_pool_runs_of_the_grids_and_the_printed_slopes_have_the_claims():
    gains = tables.TABLES["gains"]
    rows = {row.label: row for row in gains.rows(PAPER)}
    runs = {row.configs[0] for dataset in ("mitochondria", "cardiac") for row in tables.rows(dataset, PAPER)}
    assert {config for row in rows.values() for config in row.configs} <= runs
    assert [config.cell for config in rows["cardiac n_a=16"].configs] == [(16, 128), (16, 512)]
    assert [config.cell for config in rows["mitochondria n_t=128"].configs] == [(4, 128), (16, 128)]

    def score(row):
        """As if every run had what its row has in the paper."""
        scores = {"dice": {"repeat 0": row.published["dice"].mean}}
        return FinishedRow(row, (scores, scores), lambda _: None)

    finished = {name: score(row) for name, row in rows.items()}
    judged = [judgement.judge(claim, finished) for claim in gains.claims]
    assert [one.verdict for one in judged] == ["holds", "holds"]
    slopes = [one.numbers["difference"] / np.log(4) for one in judged]
    np.testing.assert_allclose(slopes, [0.045 - 0.019, 0.010 + 0.00075])


def test_both_methods_get_the_same_annotation(make):
    planar, cubes = (make(replace(TINY, method=method)).evaluation for method in ("multi_planar", "unet_3d"))
    for one, other in zip(planar.annotated, cubes.annotated, strict=True):
        for known, same in zip(one.known, other.known, strict=True):
            np.testing.assert_array_equal(known, same)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(planar.annotated[0].known, planar.annotated[1].known, strict=True)
    )


@pytest.mark.parametrize("dataset", ["mitochondria", "cardiac"])
def test_batches_hold_annotated_elements_only_where_they_are_known(make, dataset):
    for method in ("multi_planar", "unet_3d"):
        batch = next(make(replace(TINY, method=method, dataset=dataset)).batches(0))
        known = batch["label"] != UNKNOWN
        assert known.any(axis=tuple(range(2, known.ndim))).all()
        assert known.mean() < 0.6


def test_validation_volumes_are_held_out(make):
    config = replace(TINY, dataset="cardiac")
    study = make(config).evaluation
    assert all(len(one.known) == config.cardiac.num_train for one in study.annotated)
    assert study.validation[0].shape == (config.num_repeats, 1, config.plane_size, config.plane_size)


def test_repeats_in_turns_and_at_once_train_alike(make):
    config = replace(TINY, widths=(4,))
    batch = next(make(config).batches(0))
    losses = []
    for packing in ("turns", "vmap"):
        packed = algorithm.make_algorithm(replace(config, packing=packing), None)
        state = jax.jit(packed.init)(jax.random.key(0), batch)
        step = jax.jit(packed.step)
        state, _ = step(state, batch, jax.random.key(1))
        losses.append(float(step(state, batch, jax.random.key(2))[1]["loss"]))
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_perfect_network_has_perfect_scores(make, monkeypatch):
    study = make(TINY).evaluation
    by_image = {study.volumes[name].image.tobytes(): study.volumes[name].label for name in study.test}
    monkeypatch.setattr(
        evaluate, "make_predictor", lambda *_: lambda volume, spacing: by_image[volume.tobytes()] > 0
    )
    scores = evaluate.evaluate(TINY, init(TINY), make(TINY))
    for metric in ("dice", "sensitivity", "specificity"):
        assert list(scores[metric].values()) == [1.0] * TINY.num_repeats
    counts = [int((one.label != UNKNOWN).sum()) for one in study.annotated]
    assert list(scores["annotated pixels"].values()) == counts
    assert list(scores["dice by volume"]) == [f"repeat {k} test-00" for k in range(2)]


def test_prediction_is_written_on_the_files_own_grid(tmp_path):
    values = np.random.default_rng(0).normal(100, 20, (9, 11, 7)).astype(np.float32)
    affine = np.array([[-2.0, 0, 0, 5], [0, 0, 3.0, 1], [0, 2.0, 0, 2], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "scan.nii.gz")
    application.predict(TINY, init(TINY), tmp_path / "scan.nii.gz", tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.shape == values.shape
    np.testing.assert_allclose(mask.affine, affine, atol=1e-5)
    assert set(np.unique(np.asarray(mask.dataobj))) <= {0, 1}


def test_sample_draws_planes(tmp_path):
    (file,) = application.sample(TINY, None, None, tmp_path)
    assert matplotlib.image.imread(file).std() > 0


def test_check_data_reports_volumes_and_problems(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        for name in ("a", "b"):
            values = np.random.default_rng(0).integers(0, 2, (4, 5, 6)).astype(np.uint8)
            nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / part / f"{name}.nii.gz")
    cardiac = replace(TINY, dataset="cardiac")
    report, problems = application.check_data(cardiac, tmp_path)
    assert problems == 0
    assert "volumes with a mask: 2" in report
    (tmp_path / "images" / "a.nii.gz").write_bytes(b"nothing")
    _, problems = application.check_data(cardiac, tmp_path)
    assert problems == 1


def test_figures_and_fits_of_a_table(make, tmp_path):
    grid = tables.rows("mitochondria", TINY)
    rng = np.random.default_rng(0)

    def finish(row):
        config = row.configs[0]
        scores = {
            metric: {f"repeat {k}": float(rng.uniform(0.4, 0.9)) for k in range(2)}
            for metric in (*evaluate.METRICS, evaluate.ANNOTATED)
        }
        shown = replace(TINY, method=config.method, widths=(4,), widths_3d=(4,))
        return FinishedRow(row, (scores,), lambda _: (shown, init(shown), make(shown)))

    files = figures.draw_figures([finish(row) for row in grid], tmp_path)
    assert {file.name for file in files} == {
        "fig2-planes.png",
        "fig3-multi-planar.png",
        "fig3-3-D.png",
        "fig4-methods.png",
        "segmentations.png",
        "fits.md",
    }
    assert all(file.stat().st_size > 0 for file in files)
    text = Path(tmp_path / "fits.md").read_text()
    assert text.startswith("Equation (1) fitted to the cells with n_t > 0")
    assert "| multi-planar, Dice |" in text
    assert "| 3-D, Dice |" in text
    assert "F(1, 5)" in text
