"""Two groups of two networks, each on its own images."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms import replica_groups, replicas
from jaxmed.models.perceptron import Perceptron

MODEL = Perceptron(2, widths=(4,))


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=(count, 5)).astype(np.float32) for name, count in (("a", 6), ("b", 9))}


@pytest.fixture(scope="module")
def variables(images):
    init = jax.jit(jax.vmap(lambda key: MODEL.init(key, jnp.asarray(images["a"]), train=False)))
    return init(jax.random.split(jax.random.key(0), 4))


def test_groups_predict_their_own_images(variables, images):
    outputs = replica_groups.predict(MODEL, variables, images)
    assert {name: array.shape for name, array in outputs.items()} == {"a": (2, 6, 2), "b": (2, 9, 2)}
    for name, members in (("a", slice(0, 2)), ("b", slice(2, 4))):
        every = replicas.predict(MODEL, variables, images[name])
        np.testing.assert_allclose(outputs[name], every[members], rtol=1e-6)


def test_losses_are_means_over_the_images_of_the_group(variables, images):
    rng = np.random.default_rng(1)
    labels = {name: rng.integers(2, size=len(one)).astype(np.int32) for name, one in images.items()}
    loss = optax.softmax_cross_entropy_with_integer_labels
    found = replica_groups.mean_losses(MODEL, loss, variables, images, labels)
    outputs = replica_groups.predict(MODEL, variables, images)
    wanted = []
    for name, own in outputs.items():
        logits = np.asarray(own, np.float64)
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        wanted += [-member[np.arange(len(member)), labels[name]].mean() for member in log_p]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_classifiers_learn_and_the_best_of_each_is_kept():
    """Classes by the sign of the first number; in the validation images of group b they are the other way."""
    model, rng = Perceptron(2, widths=(16,)), np.random.default_rng(2)
    images = {name: rng.normal(size=(60, 5)).astype(np.float32) for name in ("a", "b")}
    labels = {name: (one[:, 0] > 0).astype(np.int32) for name, one in images.items()}
    labels["b"] = 1 - labels["b"]
    plain = replica_groups.make_classifiers(model, optax.adam(0.05), 4)
    kept = replica_groups.keep_best_classifiers(plain, model, images, labels, 10)
    assert kept.refresh_every == 10
    x = rng.normal(size=(256, 4, 5)).astype(np.float32)
    batch = {"image": x, "label": (x[..., 0] > 0).astype(np.int32)}
    state, step = jax.jit(kept.init)(jax.random.key(0), batch), jax.jit(kept.step)
    state = kept.refresh(state)
    start, before = state.best_loss, state.best
    for number in range(30):
        state, metrics = step(state, batch, jax.random.key(number))
    assert float(metrics["loss"]) < 0.2
    state = kept.refresh(state)
    assert (state.best_loss[:2] < 0.3).all() and (start > 0.3).all()
    np.testing.assert_array_equal(state.best_loss[2:], start[2:])
    for new, old in zip(jax.tree.leaves(state.best), jax.tree.leaves(before), strict=True):
        np.testing.assert_array_equal(new[2:], old[2:])
    loss = optax.softmax_cross_entropy_with_integer_labels
    found = replica_groups.mean_losses(model, loss, state.best, images, labels)
    np.testing.assert_allclose(found, state.best_loss, rtol=1e-6)
