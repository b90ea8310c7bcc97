"""Scores, folders, predictions: the way of a user's images."""

import csv
import dataclasses

import numpy as np
import pytest
from PIL import Image

from data_pipelines.readers.errors import ReadError
from experiments.deepmcat import application, data, evaluate, tables
from experiments.deepmcat.config import PRESETS


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(8):
        path = tmp_path / ("even" if number % 2 == 0 else "odd") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(255, size=(20, 18), dtype=np.uint8)).save(path)
    return tmp_path


@pytest.mark.parametrize("features", ["network", "pixels", "pca"])
def test_scores_lie_below_their_ceilings(config, tiny_data, clustered, features):
    config = dataclasses.replace(config, features=features)
    scores = {name: value["all"] for name, value in evaluate.evaluate(config, clustered, tiny_data).items()}
    assert 0 <= scores["nmi labels"] <= scores["nmi labels ceiling"] + 1e-9 <= 1 + 1e-9
    assert 0 < scores["nmi previous"] <= scores["nmi previous ceiling"] + 1e-9
    assert scores["purity"] <= 1
    assert 0 < scores["purity unaugmented"] <= 1
    if features != "network":
        assert scores["purity unaugmented"] == scores["purity"]
    assert scores["clusters"] == config.num_clusters


def test_images_without_labels_have_no_purity(config, tiny_data, clustered):
    unlabelled = dataclasses.replace(tiny_data.evaluation, labels=None)
    scores = evaluate.evaluate(config, clustered, dataclasses.replace(tiny_data, evaluation=unlabelled))
    assert np.isnan([scores[name]["all"] for name in ("purity", "purity unaugmented")]).all()
    assert np.isfinite(scores["nmi previous"]["all"])


def test_a_folder_is_a_set(config, folder, cache_dir):
    config = dataclasses.replace(config, num_images=8, batch_size=4)
    found = data.make_data(config, seed=0, data_dir=folder, cache_dir=cache_dir)
    np.testing.assert_array_equal(found.evaluation.labels, [0] * 4 + [1] * 4)
    assert found.evaluation.images.shape == (8, 16, 16)
    weighted = dataclasses.replace(config, sampling="weighted")
    found = data.make_data(weighted, seed=0, data_dir=folder, cache_dir=cache_dir)
    batch = next(found.batches(1))
    np.testing.assert_array_equal(batch["image"], found.evaluation.images[batch["index"]])
    assert len(found.describe(1)) == 4


def test_a_folder_of_another_size_is_refused_with_the_option_to_use(config, folder, cache_dir):
    with pytest.raises(ReadError, match="--num-images 8"):
        data.make_data(config, seed=0, data_dir=folder, cache_dir=cache_dir)
    with pytest.raises(ValueError, match="max-bad-cases 0"):
        data.make_data(config, seed=0, data_dir=folder, cache_dir=cache_dir, max_bad_cases=1)


def test_prediction_sorts_every_image(config, clustered, folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("sorted") / "new"
    application.predict(config, clustered, folder, output)
    lines = list(csv.DictReader((output / "clusters.csv").read_text().splitlines()))
    assert [line["file"] for line in lines][:2] == ["even/0.png", "even/2.png"]
    assert len(lines) == 8
    assert all(0 <= int(line["cluster"]) < config.num_clusters for line in lines)
    assert all(0 < float(line["probability"]) <= 1 for line in lines)
    assert (output / "clusters.png").stat().st_size > 1000


def test_samples_and_report(config, folder, tmp_path):
    output = tmp_path / "pictures"
    output.mkdir()
    (file,) = application.sample(config, None, folder / "even", output)
    assert file.stat().st_size > 1000
    report, num_problems = application.check_data(config, folder)
    assert num_problems == 0
    assert "images, 3 labels" in report


def test_sets_have_the_papers_sizes_and_proportions_elsewhere():
    sizes = {name: tables.set_config(PRESETS["paper"], name).num_images for name in ("(i)", "(ii)", "(iii)")}
    assert sizes == {"(i)": 47_637, "(ii)": 192_272, "(iii)": 23_943}
    demo = [tables.set_config(PRESETS["demo"], name) for name in ("(i)", "(ii)", "(iii)")]
    assert [config.num_clusters for config in demo] == [24, 104, 104]
    assert demo[1].num_images == 2 * demo[2].num_images == 4 * demo[0].num_images
