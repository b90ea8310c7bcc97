import logging

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms.supervised import supervised
from jaxmed.train import fit, guard, mesh


class Line(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(1)(x)


def make_algorithm():
    return supervised(
        Line(),
        optax.adam(1e-2),
        prepare=lambda batch, key: (batch["x"], batch["x"][:, :1]),
        loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
    )


def make_batches(bad_steps=(), value=np.nan):
    """Batches of 8; in those of the bad steps one number of one example is not finite."""
    step = 0
    while True:
        x = np.random.default_rng(step).normal(size=(8, 4)).astype(np.float32)
        if step in bad_steps:
            x[5, 2] = value
        yield {"x": x}
        step += 1


def train(num_steps, *, bad_steps=(), value=np.nan, devices=1, mode="jit", **options):
    algorithm = make_algorithm()
    states = []
    state = fit.fit(
        algorithm,
        jax.jit(algorithm.init)(jax.random.key(0), next(make_batches())),
        make_batches(bad_steps, value),
        key=jax.random.key(1),
        num_steps=num_steps,
        mesh=mesh.make_mesh(devices),
        mode=mode,
        observers=[lambda step, state, metrics: states.append((jax.device_get(state), metrics))],
        **options,
    )
    return jax.device_get(state), states


@pytest.mark.faults
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30], ids=["nan", "inf", "overflow"])
@pytest.mark.parametrize(("devices", "mode"), [(1, "jit"), (8, "jit"), (8, "pmap")])
def test_bad_step_leaves_the_state_as_it_was(value, devices, mode, caplog, record_fault):
    with caplog.at_level(logging.WARNING):
        last, states = train(6, bad_steps=(3,), value=value, devices=devices, mode=mode)
    before, after = states[2][0], states[3][0]
    assert (int(before.step), int(after.step)) == (3, 4)
    chex.assert_trees_all_equal(before.net, after.net)
    assert [record.message for record in caplog.records] == [
        "step 4 skipped: NaN or infinity in the loss or the new state"
    ]
    assert not np.array_equal(after.net.params["Dense_0"]["bias"], last.net.params["Dense_0"]["bias"])
    chex.assert_tree_all_finite(last)
    record_fault(f"7 {value} in one example of a batch", "its step skipped and said, the state unchanged")


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_bad_steps_within_a_dispatch_are_left_out_alone(mode):
    options = {"bad_steps": (1, 3, 6), "devices": 2, "mode": mode}
    noted = []
    single, _ = train(9, **options)
    watch = guard.SkippedSteps(2, note=noted.append)
    together, seen = train(9, steps_per_dispatch=4, skipped=watch, **options)
    chex.assert_trees_all_equal(single, together)
    assert noted == [2, 4, 7]
    assert [bool(np.isnan(metrics["loss"])) for _, metrics in seen] == [
        step in (1, 3, 6) for step in range(9)
    ]


def test_good_steps_are_those_of_an_unguarded_step():
    algorithm, key = make_algorithm(), jax.random.key(3)
    batch = next(make_batches())
    state = jax.jit(algorithm.init)(jax.random.key(0), batch)
    expected, metrics = jax.jit(algorithm.step)(state, batch, key)
    found, seen = jax.jit(guard.keep_finite(algorithm.step))(state, batch, key)
    chex.assert_trees_all_equal(expected, found)
    assert bool(seen.pop(guard.FINITE))
    assert seen == metrics


def test_metrics_of_the_observers_do_not_show_the_guard():
    assert set(train(1)[1][0][1]) == {"loss"}


@pytest.mark.faults
def test_too_many_bad_steps_in_a_row_stop_the_run(record_fault):
    with pytest.raises(guard.NonFiniteError, match="in steps 4 to 6; step 3 was the last good one") as caught:
        train(20, bad_steps=(3, 4, 5, 6, 7), skipped=guard.SkippedSteps(2))
    assert caught.value.steps == (4, 5, 6)
    record_fault("7 NaN in three batches one after the other, two allowed", str(caught.value))


def test_a_good_step_starts_the_count_anew():
    state, _ = train(12, bad_steps=(1, 2, 4, 5, 7, 8), skipped=guard.SkippedSteps(2))
    assert int(state.step) == 12


def test_skipped_steps_are_noted():
    noted = []
    train(8, bad_steps=(1, 5), skipped=guard.SkippedSteps(2, note=noted.append))
    assert noted == [2, 6]


def test_last_step_is_looked_at_too():
    with pytest.raises(guard.NonFiniteError, match="in step 4"):
        train(4, bad_steps=(3,), skipped=guard.SkippedSteps(0))


def test_all_finite_looks_at_every_kind_of_leaf():
    tree = {"a": jnp.ones(3), "n": jnp.arange(2), "k": jax.random.key(0), "h": jnp.ones((), jnp.bfloat16)}
    assert bool(guard.all_finite(tree))
    assert not bool(guard.all_finite({**tree, "h": jnp.array(jnp.inf, jnp.bfloat16)}))
    assert bool(guard.all_finite({}))
