"""Paper 03: tables and sizes, ventricles that can be measured, the studies of a run, and a user's head."""

import dataclasses

import numpy as np
import pytest

from data_pipelines import head_volumes
from data_pipelines.readers import nifti
from experiments.stylegan3d import EXPERIMENT, algorithm, application, config, data, evaluate
from jaxmed.metrics.ventricles import ventricle_ml

TINY = EXPERIMENT.presets["tiny"]


def test_both_networks_have_the_published_parameters():
    assert evaluate.count_parameters(EXPERIMENT.presets["2mm-fd16"]) == 227_051


def test_sizes_are_those_of_the_paper():
    assert {name: networks.shape for name, networks in config.SIZES.items() if "64" not in name} == {
        "2mm-fd16": (80, 96, 112),
        "2mm-fd32": (80, 96, 112),
        "2mm-fd96": (80, 96, 112),
        "1mm-fd16": (160, 192, 224),
    }
    assert [config.SIZES[name].voxel_mm for name in ("2mm-fd96", "1mm-fd16")] == [2.0, 1.0]


def test_rows_of_table_2_are_scaled_with_the_preset():
    rows = EXPERIMENT.tables["table2"].rows(EXPERIMENT.presets["demo"])
    networks = {row.label: row.configs[0].networks for row in rows}
    widths = {label: (one.width, one.latent_width) for label, one in networks.items()}
    eighths = {"2mm-fd16": (2, 8), "2mm-fd32": (4, 16), "2mm-fd64": (8, 8), "2mm-fd96": (12, 12)}
    assert widths == eighths | {"2mm-Real": (12, 12)}
    full = EXPERIMENT.tables["table2"].rows(EXPERIMENT.presets["paper"])
    assert all(row.configs[0].networks == config.SIZES[row.label] for row in full[:4])


def test_studies_of_one_size_share_their_training():
    rows = [row for name in ("projection", "mixing") for row in EXPERIMENT.tables[name].rows(TINY)]
    shared = {config.training_config(row.configs[0]) for row in rows}
    assert shared == {config.training_config(TINY)}
    assert len({algorithm.make_algorithm(row.configs[0], None) for row in rows}) == 1


def test_measured_ventricles_follow_the_exact_ones():
    source = head_volumes.phantoms(12, (40, 48, 56))
    found = [source.build(case) for case in source.cases]
    exact = [float(arrays["ventricle_ml"]) for arrays in found]
    measured = [ventricle_ml(arrays["image"] / np.float32(255), 4.0) for arrays in found]
    assert np.corrcoef(exact, measured)[0, 1] > 0.95


def test_mixing_at_either_end_reproduces_the_parents(state):
    sampler = algorithm.make_sampler(TINY, state)
    coarse, fine = (sampler.draw_styles(2, seed=seed) for seed in (0, 1))
    last = algorithm.make_generator(TINY.networks).num_styles
    for crossover, parent in ((0, fine), (last, coarse)):
        np.testing.assert_array_equal(sampler.mix(coarse, fine, crossover), sampler.synthesise(parent))


def test_truncation_to_0_gives_the_mean_head(state):
    sampler = algorithm.make_sampler(TINY, state)
    heads = sampler.draw(5, psi=0.0)
    np.testing.assert_allclose(heads, np.broadcast_to(heads[:1], heads.shape), atol=1e-6)
    assert np.abs(sampler.draw(2)[0] - heads[0]).max() > 1e-4


def test_a_users_head_is_projected_onto_its_own_place(state, tmp_path, capsys):
    shape, first = TINY.networks.shape, head_volumes.phantoms(1, TINY.networks.shape)
    volume = head_volumes.from_grid(first.build(first.cases[0])["image"]).astype(np.float32)
    affine = head_volumes.standard_affine(volume.shape, (16.0, 16.0, 16.0))
    affine[:3, 3] += 7
    nifti.write_volume(tmp_path / "head.nii.gz", volume, affine)
    application.predict(TINY, state, tmp_path / "head.nii.gz", tmp_path / "found.nii.gz")
    found = nifti.read_volume(tmp_path / "found.nii.gz")
    assert head_volumes.to_grid(found.image).shape == shape
    assert np.abs(found.affine[:3, 3] - affine[:3, 3]).max() <= 12  # the box's middle is within a voxel
    assert "mean squared error" in capsys.readouterr().out


def test_sample_writes_pictures_and_volumes(state, tmp_path):
    files = {file.name for file in application.sample(TINY, state, None, tmp_path)}
    assert files == {
        "phantoms.png",
        "samples.png",
        "samples-truncated.png",
        "mixing.png",
        *(f"sample-{number}.nii.gz" for number in range(1, 6)),
    }
    volume = nifti.read_volume(tmp_path / "sample-1.nii.gz")
    assert volume.spacing_mm == pytest.approx((16.0, 16.0, 16.0))


def test_a_folder_is_split_and_trained_on(tmp_path):
    source = head_volumes.phantoms(6, TINY.networks.shape)
    (tmp_path / "heads").mkdir()
    for case in source.cases:
        volume = head_volumes.from_grid(source.build(case)["image"]).astype(np.float32)
        affine = head_volumes.standard_affine(volume.shape, (16.0, 16.0, 16.0))
        nifti.write_volume(tmp_path / "heads" / f"{case}.nii.gz", volume, affine)
    report, num_problems = application.check_data(TINY, tmp_path / "heads")
    assert num_problems == 0 and "cases: 6" in report
    opened = data.make_data(TINY, seed=0, data_dir=tmp_path / "heads", cache_dir=tmp_path)
    assert len(opened.evaluation.train) == 4 and len(opened.evaluation.test) == 2
    assert next(opened.batches(0))["volume"].shape == (4, *TINY.networks.shape, 1)
    real = dataclasses.replace(TINY, study="real")
    scores = evaluate.evaluate(real, None, opened)
    assert "ventricles of labels, ml" not in scores and len(scores["ventricles, ml"]) == 4
