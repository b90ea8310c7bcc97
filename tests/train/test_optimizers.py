import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.train import optimizers


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
