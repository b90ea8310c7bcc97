import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms import replicas
from jaxmed.algorithms.supervised import supervised
from jaxmed.models.perceptron import Perceptron
from jaxmed.ops import backend

MEMBERS = 3


def member():
    return supervised(
        Perceptron(2, widths=(4,)),
        optax.adam(1e-2),
        prepare=lambda batch, key: (batch["image"], batch["label"]),
        loss=optax.softmax_cross_entropy_with_integer_labels,
    )


def batch():
    rng = np.random.default_rng(0)
    return {
        "image": rng.normal(size=(8, MEMBERS, 5)).astype(np.float32),
        "label": rng.integers(2, size=(8, MEMBERS)).astype(np.int32),
    }


@pytest.mark.parametrize("packing, platform", [("vmap", "cpu"), ("turns", "cpu"), ("turns", "gpu")])
def test_members_train_as_they_would_alone(packing, platform, monkeypatch):
    monkeypatch.setattr(backend, "on_cpu", lambda: platform == "cpu")
    together = replicas.replicate(member(), MEMBERS, packing=packing)
    state = jax.jit(together.init)(jax.random.key(0), batch())
    step = jax.jit(together.step)
    alone_step = jax.jit(member().step)
    alone = [jax.tree.map(lambda leaf, m=m: np.asarray(leaf)[m], state.members) for m in range(MEMBERS)]
    for number in range(3):
        key = jax.random.key(number)
        state, metrics = step(state, batch(), key)
        losses = []
        for m, member_key in enumerate(jax.random.split(key, MEMBERS)):
            part = {name: array[:, m] for name, array in batch().items()}
            alone[m], found = alone_step(alone[m], part, member_key)
            losses.append(found["loss"])
        np.testing.assert_allclose(metrics["loss"], np.mean(losses), rtol=1e-5)
    assert int(state.step) == 3
    for m in range(MEMBERS):
        jax.tree.map(
            lambda stacked, single, m=m: np.testing.assert_allclose(
                np.asarray(stacked)[m], single, rtol=1e-5, atol=1e-6
            ),
            state.members,
            alone[m],
        )


@pytest.mark.parametrize("is_cpu, wanted", [(True, "turns"), (False, "vmap")])
def test_members_that_convolve_take_turns_on_cpus_alone(is_cpu, wanted, monkeypatch):
    monkeypatch.setattr(backend, "on_cpu", lambda: is_cpu)
    shapes = jax.eval_shape(replicas.replicate(member(), MEMBERS).init, jax.random.key(0), batch())

    def program(packing):
        step = replicas.replicate(member(), MEMBERS, packing=packing).step
        return str(jax.make_jaxpr(step)(shapes, batch(), jax.random.key(1)))

    assert program("auto") == program(wanted)
    assert program("turns") != program("vmap")


def test_shapes_of_a_batch_are_those_of_examples_by_batch_and_member():
    shapes = replicas.batch_shapes(8, MEMBERS, image=((5,), np.float32), label=((), np.int32))
    wanted = {name: (array.shape, array.dtype) for name, array in batch().items()}
    assert {name: (leaf.shape, leaf.dtype) for name, leaf in shapes.items()} == wanted


def test_members_start_apart():
    state = jax.jit(replicas.replicate(member(), MEMBERS).init)(jax.random.key(0), batch())
    kernel = np.asarray(state.members.net.params["Dense_0"]["kernel"])
    assert np.abs(kernel[0] - kernel[1]).max() > 0.01
    assert jnp.shape(state.step) == ()


@pytest.mark.parametrize("packing", ["vmap", "turns"])
def test_members_start_as_they_would_alone(packing):
    key, example = jax.random.key(0), {name: array[:, 0] for name, array in batch().items()}
    together = jax.jit(replicas.replicate(member(), MEMBERS, packing=packing).init)(key, batch())
    alone = jax.jit(member().init)
    for number, own in enumerate(jax.random.split(key, MEMBERS)):
        mine = jax.tree.map(lambda leaf, n=number: np.asarray(leaf)[n], together.members)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), mine, alone(own, example))


def test_best_variables_are_kept_member_by_member():
    losses = iter([[3.0, 1.0, 2.0], [2.0, 5.0, 2.0]])
    together = replicas.replicate(member(), MEMBERS)
    kept = replicas.keep_best(together, lambda variables: jnp.array(next(losses)), refresh_every=1)
    state = kept.refresh(jax.jit(kept.init)(jax.random.key(0), batch()))
    first = np.asarray(state.best["params"]["Dense_0"]["kernel"])
    state, _ = jax.jit(kept.step)(state, batch(), jax.random.key(1))
    state = kept.refresh(state)
    now = np.asarray(state.ensemble.members.net.params["Dense_0"]["kernel"])
    best = np.asarray(state.best["params"]["Dense_0"]["kernel"])
    np.testing.assert_array_equal(best[0], now[0])
    np.testing.assert_array_equal(best[1:], first[1:])
    np.testing.assert_array_equal(state.best_loss, [2, 1, 2])


def test_predictions_are_those_of_each_member():
    state = jax.jit(replicas.replicate(member(), MEMBERS).init)(jax.random.key(0), batch())
    images = jnp.asarray(batch()["image"][:, 0])
    model, variables = Perceptron(2, widths=(4,)), state.members.net.variables
    outputs = replicas.predict(model, variables, images)
    own = jax.tree.map(lambda leaf: np.asarray(leaf)[1], variables)
    wanted = jax.jit(lambda own: model.apply(own, images, train=False))(own)
    np.testing.assert_allclose(np.asarray(outputs)[1], wanted, rtol=1e-5)


def test_mean_losses_are_each_members_own():
    model = Perceptron(2, widths=(4,))
    state = jax.jit(replicas.replicate(member(), MEMBERS).init)(jax.random.key(0), batch())
    rng = np.random.default_rng(1)
    inputs = jnp.asarray(rng.normal(size=(MEMBERS, 6, 5)), jnp.float32)
    labels = jnp.asarray(rng.integers(2, size=(MEMBERS, 6)), jnp.int32)
    loss, variables = optax.softmax_cross_entropy_with_integer_labels, state.members.net.variables
    found = replicas.mean_losses(model, loss, variables, inputs, labels)
    alone = jax.jit(lambda own, x, y: loss(model.apply(own, x, train=False), y).mean())
    for number in range(MEMBERS):
        own = jax.tree.map(lambda leaf, n=number: np.asarray(leaf)[n], variables)
        wanted = alone(own, np.asarray(inputs)[number], np.asarray(labels)[number])
        np.testing.assert_allclose(found[number], wanted, rtol=1e-6)
