import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms.supervised import supervised
from jaxmed.train import fit, mesh, optimizers


def test_schedule_rises_linearly_and_falls_to_zero():
    schedule = optimizers.warmup_cosine(2.0, 20, warmup_steps=10)
    np.testing.assert_allclose([schedule(s) for s in (0, 5, 10, 15, 20)], [0, 1, 2, 1, 0], atol=1e-6)
    assert float(optimizers.warmup_cosine(2.0, 20)(0)) == 2.0
    with pytest.raises(ValueError, match="warmup_steps=20"):
        optimizers.warmup_cosine(2.0, 20, warmup_steps=20)


def test_clip_scales_to_the_norm():
    optimizer = optimizers.clip(optax.sgd(1.0), 1.0)
    gradient = {"a": jnp.asarray([3.0, 4.0])}
    updates, _ = optimizer.update(gradient, optimizer.init(gradient))
    np.testing.assert_allclose(updates["a"], [-0.6, -0.8], rtol=1e-6)


def test_accumulation_takes_the_mean_gradient_of_several_steps():
    optimizer = optimizers.accumulate(optax.sgd(1.0), 2)
    params = jnp.zeros(())
    state = optimizer.init(params)
    first, state = optimizer.update(jnp.asarray(1.0), state, params)
    second, state = optimizer.update(jnp.asarray(3.0), state, params)
    assert (float(first), float(second)) == (0.0, -2.0)
    with pytest.raises(ValueError, match="num_batches=0"):
        optimizers.accumulate(optax.sgd(1.0), 0)


class Perceptron(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(1, param_dtype=x.dtype)(nn.relu(nn.Dense(8, param_dtype=x.dtype)(x)))


@functools.cache
def make_algorithm(num_batches):
    return supervised(
        Perceptron(),
        optimizers.accumulate(optax.adam(0.01), num_batches),
        prepare=lambda batch, key: (batch["x"], batch["x"][:, :1]),
        loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
    )


def train(num_batches, batches, dtype, **options):
    algorithm = make_algorithm(num_batches)
    batches = [{"x": batch.astype(dtype)} for batch in batches]
    state = fit.fit(
        algorithm,
        jax.jit(algorithm.init)(jax.random.key(0), batches[0]),
        iter(batches),
        key=jax.random.key(1),
        num_steps=len(batches),
        mesh=mesh.make_mesh(options.pop("devices", 1)),
        **options,
    )
    return jax.device_get(state.net.params)


def draw_batches(count, size):
    return list(np.random.default_rng(0).normal(size=(count, size, 4)))


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [pytest.param(np.float32, 1e-5, marks=pytest.mark.exhaustive), (np.float64, 1e-12)],
)
def test_accumulated_batches_equal_the_large_batch(dtype, tolerance):
    """Two updates of Adam, each from one batch of 24 or from three of 8."""
    small = draw_batches(6, 8)
    large = [np.concatenate(small[:3]), np.concatenate(small[3:])]
    with jax.enable_x64(dtype is np.float64):
        expected, found = train(1, large, dtype), train(3, small, dtype)
    assert jax.tree.leaves(found)[0].dtype == dtype
    chex.assert_trees_all_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("mode", [pytest.param("jit", marks=pytest.mark.exhaustive), "pmap"])
def test_accumulation_works_per_device_and_dispatched_together(mode):
    batches = draw_batches(6, 8)
    expected = train(3, batches, np.float32)
    found = train(3, batches, np.float32, devices=4, mode=mode, steps_per_dispatch=3)
    chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_batch_with_nan_is_left_out_of_the_mean():
    """The guard leaves the sums as they were: the next batch takes the place of the bad one."""
    good = draw_batches(4, 8)
    bad = np.where(np.arange(8)[:, None] == 5, np.nan, good[0])
    found = train(2, [good[0], bad, good[1], good[2], good[3]], np.float32)
    chex.assert_trees_all_equal(found, train(2, good, np.float32))


def test_accumulation_compiles_once_and_donates_its_sums():
    algorithm, devices = make_algorithm(2), mesh.make_mesh(1)
    batch = {"x": draw_batches(1, 8)[0].astype(np.float32)}
    state, key = mesh.replicate(
        (jax.jit(algorithm.init)(jax.random.key(0), batch), jax.random.key(1)), devices
    )
    step, batch = fit.compile_step(algorithm, devices), mesh.put_batch(batch, devices)
    memory = step.lower(state, batch, key).compile().memory_analysis()
    assert memory.alias_size_in_bytes == sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    for _ in range(3):
        state, _ = step(state, batch, key)
    assert step._cache_size() == 1
