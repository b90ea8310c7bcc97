"""What the study is made of, beside what every paper is tested for."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments.rhvae import classifiers, config, data, evaluate, run, tables
from jaxmed.models.densenet import DenseNet

TINY = config.PRESETS["tiny"]


def test_printed_numbers_are_those_of_the_paper():
    rows = {row.label: row for row in tables.TABLES["table2"].rows(config.PRESETS["demo"])}
    assert len(rows) == 16
    assert rows["OURS-2000"].published["balanced, alone"].mean == 92.6
    assert rows["VAE-200"].published["varied, alone"].std == 2.6
    assert set(rows["RAW"].published) == {f"{name}, with raw" for name in data.set_names(TINY)}
    rows = {row.label: row for row in tables.TABLES["table3"].rows(config.PRESETS["demo"])}
    assert rows["OURS-500"].published["mlp, alone"].mean == 88.6
    assert rows["AUG. x15"].published["densenet, with raw"].mean == 76.6
    assert not rows["RHVAE-500"].published


def test_rows_of_one_model_share_its_stage():
    rows = {row.label: row.configs[0] for row in tables.TABLES["table2"].rows(config.PRESETS["demo"])}
    shared = {label: config.generator_config(one) for label, one in rows.items()}
    assert shared["RHVAE-200"] == shared["OURS-2000"] != shared["VAE-200"] == shared["VAE-2000"]
    assert rows["OURS-500"].num_samples == 500


def test_brains_have_the_paper_size_and_three_classifiers():
    brains = dataclasses.replace(config.PRESETS["paper"], source="brains")
    assert brains.shape == (208, 176)
    assert data.example_batch(brains)["image"].shape[2:] == (208, 176, 1)
    assert classifiers.kinds(brains) == ("mlp", "cnn", "densenet")
    assert data.num_models(brains) == 2
    assert data.num_models(config.PRESETS["paper"]) == 30


def test_paper_preset_has_the_known_densenet():
    model = classifiers.make_model(config.PRESETS["paper"], "densenet")
    assert (model.growth, model.depth) == (10, 20)
    assert isinstance(model, DenseNet)


def test_more_samples_than_drawn_are_refused():
    with pytest.raises(ValueError, match="num_samples is 7"):
        dataclasses.replace(TINY, num_samples=7)


def test_raw_data_count_alone_too(tmp_path):
    """A classifier that always says class 0: accuracy is the share of that class, balanced accuracy 1 / 2."""
    brains = dataclasses.replace(TINY, source="brains", num_runs=2)
    own = data.make_data(brains, seed=0, data_dir=None, cache_dir=tmp_path)
    state = jax.eval_shape(lambda: run.init_state(brains, jax.random.key(0)))
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
    scores = evaluate.evaluate(brains, state, own)
    assert {"mlp, with raw", "cnn, alone", "densenet, alone", "acceptance"} <= set(scores)
    assert scores["mlp, alone"] == scores["mlp, with raw"] == {"run 0": 50.0, "run 1": 50.0}
