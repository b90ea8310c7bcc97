"""Clusters as pseudo-labels: what refresh changes, fair sampling, weights, devices, augmentation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.deepmcat import algorithm
from experiments.deepmcat.algorithm import MEASURES
from experiments.deepmcat.config import PRESETS
from jaxmed.metrics import clustering as agreement
from jaxmed.train import mesh
from jaxmed.train.resident import Resident


def test_paper_preset_has_the_papers_network():
    config = PRESETS["paper"]
    model = algorithm.make_model(config)
    inputs = jnp.zeros((1, config.image_size, config.image_size, 1))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), inputs, train=False)["params"])
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert config.num_clusters == 104
    # The original's 134,693,928, less the 4224 biases that batch normalisation cancels.
    assert count == 134_693_928 - 4224
    assert config.num_steps == 200 * 93


def test_refresh_clusters_all_images_and_starts_the_last_layer_anew(
    config, tiny_data, first_state, clustered
):
    found = np.asarray(clustered.assignments)
    assert sorted(np.unique(found)) == list(range(config.num_clusters))
    before, after = first_state.net.params, clustered.net.params
    jax.tree.map(np.testing.assert_array_equal, before["trunk"], after["trunk"])
    assert not np.array_equal(before["head"]["kernel"], after["head"]["kernel"])
    assert np.std(after["head"]["kernel"]) == pytest.approx(0.01, rel=0.3)
    row = dict(zip(MEASURES, np.asarray(clustered.history)[0], strict=True))
    assert row["clusters"] == config.num_clusters
    assert row["nmi previous"] == 0
    labels = tiny_data.evaluation.labels
    assert row["purity"] == pytest.approx(agreement.purity(found, labels))


def test_each_clustering_draws_anew_and_the_same_one_twice_is_the_same(method, first_state, clustered):
    again, later = method.refresh(first_state), method.refresh(clustered)
    np.testing.assert_array_equal(again.assignments, clustered.assignments)
    assert not np.array_equal(later.net.params["head"]["kernel"], clustered.net.params["head"]["kernel"])
    assert int(later.refresh_seed) != int(clustered.refresh_seed)


def test_clusters_are_the_same_on_eight_devices(method, first_state, clustered):
    many = method.refresh(mesh.replicate(first_state, mesh.make_mesh(8)))
    np.testing.assert_array_equal(many.assignments, clustered.assignments)
    np.testing.assert_array_equal(many.history, clustered.history)


def test_labels_as_targets_stay_and_so_does_the_last_layer(config, tiny_data, first_state):
    config = dataclasses.replace(config, targets="labels")
    state = algorithm.make_algorithm(config, tiny_data).refresh(first_state)
    np.testing.assert_array_equal(state.assignments, tiny_data.evaluation.labels)
    jax.tree.map(np.testing.assert_array_equal, state.net.params, first_state.net.params)
    assert np.asarray(state.history)[0, MEASURES.index("purity")] > 0


@pytest.mark.parametrize(
    "labels, message", [(None, "have none"), (np.full(24, 6), "7 labels; wanted at most 6")]
)
def test_labels_that_cannot_be_targets_are_refused(config, tiny_data, first_state, labels, message):
    config = dataclasses.replace(config, targets="labels")
    images = dataclasses.replace(tiny_data.evaluation, labels=labels)
    method = algorithm.make_algorithm(config, dataclasses.replace(tiny_data, evaluation=images))
    with pytest.raises(ValueError, match=message):
        method.refresh(first_state)


def test_uniform_sampling_draws_clusters_alike_and_weights_do_the_same(config, tiny_data):
    config = dataclasses.replace(config, batch_size=6000)
    assignments = np.array([0] * 17 + [1] * 4 + [2] * 2 + [4], np.int32)
    draw_batch = jax.jit(algorithm._draw_batch, static_argnums=0)
    resident = Resident(jnp.asarray(tiny_data.evaluation.images))
    batch = {"index": np.arange(6000, dtype=np.int32) % 24, "image": resident}
    images, labels, weights = draw_batch(config, assignments, batch, jax.random.key(0))
    shares = np.bincount(labels, minlength=config.num_clusters) / 6000
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.25, 0, 0.25, 0], atol=0.025)
    np.testing.assert_array_equal(weights, 1)
    assert images.shape == (6000, 16, 16)
    weighted = dataclasses.replace(config, sampling="weighted")
    batch = {"index": np.arange(24, dtype=np.int32), "image": np.zeros((24, 16, 16), np.float32)}
    _, labels, weights = draw_batch(weighted, assignments, batch, jax.random.key(0))
    sums = np.bincount(labels, weights, minlength=config.num_clusters)
    np.testing.assert_allclose(sums, [6, 6, 6, 0, 6, 0], rtol=1e-6)


def test_images_are_standardised_one_by_one(config, tiny_data):
    images = jnp.asarray(tiny_data.evaluation.images[:5])
    draw = jax.jit(algorithm.draw_augmentation, static_argnums=(0, 2))(config, jax.random.key(0), 5)
    prepare = jax.jit(algorithm.prepare)
    plain, augmented = np.asarray(prepare(images)), np.asarray(prepare(images, draw))
    for inputs in (plain, augmented):
        assert inputs.shape == (5, 16, 16, 1)
        np.testing.assert_allclose(inputs.mean((1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(inputs.std((1, 2)), 1, rtol=1e-4)
    assert not np.allclose(plain, augmented)


def test_without_data_there_is_nothing_to_cluster(config, first_state):
    with pytest.raises(ValueError, match="without data"):
        algorithm.make_algorithm(config, None).refresh(first_state)
