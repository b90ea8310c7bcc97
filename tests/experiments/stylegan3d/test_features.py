"""Paper 03: a feature network is trained on slices of heads, exported, and named in its distances."""

import dataclasses
import json

import numpy as np
import pytest

from data_pipelines.readers.errors import ReadError
from experiments.__main__ import main
from experiments.stylegan3d import EXPERIMENT, algorithm, application, data, evaluate
from experiments.verbs import runs
from jaxmed.deploy import bundle
from jaxmed.metrics import volume_sets

OPTIONS = ("--mesh.data", "1", "--networks.num-doublings", "2", "--num-train", "64", "--num-test", "16")
TRAINING = ("--study", "features", "--batch-size", "8", "--learning-rate", "0.005")
WIDTHS = ("--evaluation.feature-widths", "16", "32")
NAME = "network trained on slices of phantom, seed 0"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def train(workdir, num_steps):
    """Folder of a run on phantoms of 8 mm."""
    command = ["train", "stylegan3d", "tiny", "--workdir", str(workdir), "--log-every", "10"]
    assert main([*command, *OPTIONS, *TRAINING, "--num-steps", str(num_steps), *WIDTHS]) == 0
    (result,) = workdir.rglob("result.json")
    return result.parent


@pytest.fixture(scope="module")
def run(workdir):
    return train(workdir, 20)


@pytest.fixture(scope="module")
def exported(run):
    folder = run.parent / "exported"
    assert main(["export", "stylegan3d", "--run", str(run), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def config(run):
    """Of the run, for the study of real heads with the exported network."""
    _, name, _ = runs.load(run)
    return dataclasses.replace(name.config, study="real", num_steps=0)


def with_weights(config, path):
    chosen = dataclasses.replace(config.evaluation, feature_weights=str(path))
    return dataclasses.replace(config, evaluation=chosen)


def test_each_unseen_head_has_its_accuracies(run):
    scores = runs.read_result(run)["scores"]
    assert list(scores) == list(evaluate.ACCURACY.values())
    assert {len(by_head) for by_head in scores.values()} == {16}


def test_it_learns_and_knows_unseen_heads(tmp_path):
    """That such networks learn at all: tests/algorithms/test_slice_classes.py."""
    scores = runs.read_result(train(tmp_path, 400))["scores"]
    (log,) = tmp_path.rglob("metrics.jsonl")
    losses = [json.loads(line)["loss"] for line in log.read_text().splitlines()]
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    place, ventricles = (np.mean(list(by_head.values())) for by_head in scores.values())
    assert place > 5 / 15
    assert ventricles > 0.65


def test_the_exported_folder_gives_distances_that_are_named_after_it(exported, config, workdir):
    opened = data.make_data(config, seed=0, data_dir=None, cache_dir=workdir / "cache")
    scores = evaluate.evaluate(with_weights(config, exported), None, opened)
    own = {kind for kind in scores if kind.endswith(NAME)}
    assert own == {f"{kind}-{plane}, {NAME}" for kind in ("FD", "KD") for plane in evaluate.PLANES}
    study, network = opened.evaluation, bundle.load_exported(exported)
    heads = study.images(study.train[: config.evaluation.num_generated]), study.images(study.test)
    for kind, expected in volume_sets.slice_distances(*heads, evaluate.PLANES, network).items():
        assert scores[f"{kind}, {NAME}"]["all"] == pytest.approx(expected, rel=1e-3)
    from_file = evaluate.feature_networks(with_weights(config, exported / bundle.WEIGHTS).evaluation)
    assert list(from_file) == ["random network 0", f"network {bundle.WEIGHTS}"]


def test_other_widths_and_damage_are_refused_in_one_line(exported, config):
    chosen = with_weights(config, exported).evaluation
    wider = dataclasses.replace(chosen, feature_widths=(16, 64))
    with pytest.raises(ReadError, match=r"params/conv_1/bias has shape \(32,\); wanted \(64,\)") as refused:
        evaluate.feature_networks(wider)
    assert "wanted a feature network of widths (16, 64)" in str(refused.value)
    file = exported / bundle.WEIGHTS
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"\x07")
    other = dataclasses.replace(chosen, num_pairs=3)  # what was read once is remembered
    with pytest.raises(ReadError, match=r"params.safetensors: found another sha256"):
        evaluate.feature_networks(other)
    file.write_bytes(content)


def test_a_feature_network_draws_and_projects_nothing(run, tmp_path):
    _, name, state = runs.load(run)
    with pytest.raises(ReadError, match="found a feature network; wanted a run of another study"):
        application.sample(name.config, state, None, tmp_path)


def test_labels_of_a_folder_are_measured(config, workdir):
    features = dataclasses.replace(config, study="features")
    opened = data.make_data(features, seed=0, data_dir=None, cache_dir=workdir / "cache")
    study = opened.evaluation
    images = {case: {"image": own["image"]} for case, own in study.arrays.items()}
    measured = data.large_ventricles(config, dataclasses.replace(study, arrays=images))
    exact = data.large_ventricles(config, study)
    assert np.mean([measured[case] == exact[case] for case in exact]) > 0.85
    batch = next(opened.batches(0))
    plain = next(data.make_data(config, seed=0, data_dir=None, cache_dir=workdir / "cache").batches(0))
    np.testing.assert_array_equal(batch["volume"], plain["volume"])
    by_image = {own["image"].tobytes(): exact[case] for case, own in study.arrays.items()}
    assert [by_image[volume.tobytes()] for volume in batch["volume"]] == batch["label"].tolist()


def test_its_training_is_apart_from_that_of_generators():
    tiny = EXPERIMENT.presets["tiny"]
    features = dataclasses.replace(tiny, study="features")
    assert algorithm.make_algorithm(features, None) is not algorithm.make_algorithm(tiny, None)
    assert algorithm.training_config(features) != algorithm.training_config(tiny)
    more_pairs = dataclasses.replace(tiny.evaluation, num_pairs=3)
    same = dataclasses.replace(features, evaluation=more_pairs)
    assert algorithm.training_config(same) == algorithm.training_config(features)
