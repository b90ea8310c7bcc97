"""Paper 03: Frechet distances on a feature network of the user's own."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.readers.errors import ReadError
from experiments.__main__ import main
from experiments.stylegan3d import config, evaluate
from jaxmed.deploy import weights
from jaxmed.metrics import volume_sets
from jaxmed.models.feature_network import FeatureNetwork
from jaxmed.ops import tree_names

KINDS = ("FD", "KD")
OWN = "network own.safetensors"


def write_network(file, widths, num_classes=5):
    network = FeatureNetwork(num_classes, widths)
    variables = network.init(jax.random.key(7), jnp.zeros((1, 12, 10, 1)), train=False)
    file.write_bytes(weights.to_bytes(tree_names.name_leaves(variables, separator="/")))
    return functools.partial(network.apply, variables, method="features")


def with_weights(tiny, file):
    return dataclasses.replace(
        tiny, evaluation=dataclasses.replace(tiny.evaluation, feature_weights=str(file))
    )


@pytest.fixture(scope="module")
def heads(tiny):
    shape = (4, *tiny.networks.shape, 1)
    return np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype(np.float32)


def test_own_network_adds_its_distances_and_changes_no_others(tiny, heads, tmp_path):
    features = write_network(tmp_path / "own.safetensors", tiny.evaluation.feature_widths)
    scores = evaluate.compare(with_weights(tiny, tmp_path / "own.safetensors"), *heads)
    before = evaluate.compare(tiny, *heads)
    assert {name: scores[name] for name in before} == before
    added = {f"{kind}-{plane}, {OWN}" for kind in KINDS for plane in evaluate.PLANES}
    assert scores.keys() - before.keys() == added
    for kind, expected in volume_sets.slice_distances(*heads, evaluate.PLANES, features).items():
        own = scores[f"{kind}, {OWN}"]
        assert own["all"] == pytest.approx(expected, rel=1e-4)
        assert own != scores[f"{kind}, random network 0"]


def test_training_does_not_depend_on_the_network(tiny):
    assert config.training_config(with_weights(tiny, "own.safetensors")) == config.training_config(tiny)


def test_files_that_do_not_fit_are_refused_in_one_line(tiny, tmp_path):
    file = tmp_path / "own.safetensors"
    write_network(file, (6,))
    with pytest.raises(ReadError, match=r"params/conv_0/bias has shape \(6,\); wanted \(4,\)") as refused:
        evaluate.feature_networks(with_weights(tiny, file).evaluation)
    assert str(refused.value).startswith(f"{file}: found ")
    assert "wanted a feature network of widths (4,)" in str(refused.value)
    file.write_bytes(b"weights")
    with pytest.raises(ReadError, match="found no safetensors that can be read"):
        evaluate.feature_networks(with_weights(tiny, file).evaluation)


def test_a_missing_file_is_said_before_anything_is_trained(tmp_path, capsys):
    file = tmp_path / "own.safetensors"
    options = ["--workdir", str(tmp_path), "--mesh.data", "1", "--evaluation.feature-weights", str(file)]
    assert main(["train", "stylegan3d", "tiny", *options]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == f"error: {file}: No such file or directory"
    assert not list(tmp_path.rglob("metrics.jsonl"))
