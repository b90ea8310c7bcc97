"""The training of Riemannian VAEs stays finite, whatever the seed, and on the authors' own images."""

import dataclasses
import os
from pathlib import Path

import jax
import numpy as np
import pytest

from data_pipelines import side_by_side, small_sets
from experiments.rhvae import config, data, generative, run
from jaxmed.algorithms import variational
from jaxmed.ops.example_keys import example_keys

NUM_SEEDS = 5


def fit(algorithm, load, batch_size, num_steps, start=None):
    """Trains on whole batches; gives the state at the start and at the end, and the metrics of each step."""
    examples = [load(index, np.random.default_rng(index)) for index in range(batch_size)]
    batch = {name: np.stack([one[name] for one in examples]) for name in examples[0]}
    # From the host, so that the first step has the types of all others and is compiled once.
    fresh = jax.device_get(jax.jit(algorithm.init)(jax.random.key(0), batch))
    start = fresh if start is None else jax.tree.map(lambda old, new: old.astype(new.dtype), start, fresh)
    state = jax.device_put(start)
    step, seen = jax.jit(algorithm.step), []
    for number in range(num_steps):
        state, metrics = step(state, batch, jax.random.key(number))
        seen.append(jax.device_get(metrics))
    assert step._cache_size() == 1
    return start, jax.device_get(state), seen


def assert_finite(state, seen):
    # "training" is 0 where an update was not finite and so not taken.
    assert all(metrics["training"] == 1 for metrics in seen)
    assert np.isfinite([metrics["loss"] for metrics in seen]).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def test_five_seeds_train_without_an_update_that_is_not_finite():
    """The same class of digits for models that start apart and draw apart."""
    sizes = config.Generator(hidden=32, num_latents=3, patience=1000)
    own = config.Config(method="rhvae", image_shape=(8, 8), batch_size=40, generator=sizes)
    digits = small_sets.character_sets(own.num_raw, own.image_shape, None)["balanced"].train_by_class()[3]
    load = side_by_side.whole_batches([digits] * NUM_SEEDS, own.batch_size)
    algorithm = generative.make_generators(own, NUM_SEEDS)
    _, state, seen = fit(algorithm, load, own.batch_size, 150)
    assert_finite(state, seen)
    assert np.ptp(state.members.best_loss) > 0
    assert seen[-1]["loss"] < 0.8 * seen[0]["loss"]


def draw_single(key, like):
    """Normal rows of 32 bits, whatever the precision of `like`: the same draws for both."""
    draw = jax.vmap(lambda key: jax.random.normal(key, like.shape[1:], np.float32))
    return draw(example_keys(key, len(like))).astype(like.dtype)


@pytest.mark.exhaustive
def test_training_with_64_bits_ranks_the_classes_alike(monkeypatch):
    """The same start and the same draws: what differs is the precision alone."""
    monkeypatch.setattr(variational, "_normal", draw_single)
    sizes = config.Generator(hidden=32, num_latents=3, patience=1000)
    own = config.Config(method="rhvae", image_shape=(8, 8), batch_size=40, generator=sizes)
    digits = small_sets.character_sets(own.num_raw, own.image_shape, None)["balanced"].train_by_class()
    load = side_by_side.whole_batches(digits, own.batch_size)
    losses, start = {}, None
    for bits in (32, 64):
        with jax.enable_x64(bits == 64):
            # Algorithms are kept by config, and compiled steps with them.
            generative.make_generators.cache_clear()
            algorithm = generative.make_generators(own, len(digits))
            start, state, seen = fit(algorithm, load, own.batch_size, 150, start)
            assert_finite(state, seen)
            losses[bits] = state.members.best_loss
            assert losses[bits].dtype == f"float{bits}"
    np.testing.assert_allclose(losses[32], losses[64], rtol=1e-3)
    assert np.argsort(losses[32]).tolist() == np.argsort(losses[64]).tolist()


@pytest.mark.exhaustive
@pytest.mark.skipif("JAXMED_TEST_DATA" not in os.environ, reason="JAXMED_TEST_DATA names no folder")
def test_paper_sizes_train_on_the_reduced_set_of_the_authors(tmp_path):
    folder = Path(os.environ["JAXMED_TEST_DATA"]) / "rhvae_paper_sets"
    own = dataclasses.replace(config.PRESETS["paper"], source="folder", num_classes=3, method="rhvae")
    opened = data.make_data(own, seed=0, data_dir=folder, cache_dir=tmp_path)
    assert [len(images) for images in opened.evaluation.class_images] == [28, 29, 27]
    load = side_by_side.whole_batches(opened.evaluation.class_images, own.batch_size)
    _, state, seen = fit(run.make_algorithm(own, None), load, own.batch_size, 5)
    sizes = [leaf.size for leaf in jax.tree.leaves(state.members.net.params)]
    assert sum(sizes) == 3 * 976_859
    assert_finite(state, seen)
    assert seen[-1]["loss"] < seen[0]["loss"]
