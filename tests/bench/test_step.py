import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.bench.step import Timings, time_step


def test_median_and_percentiles_are_over_all_steps():
    early = Timings(dispatched=(0.001, 0.003), finished=(0.010, 0.020))
    late = Timings(dispatched=(0.002,), finished=(0.030,))
    times = early.and_later(late).summary()
    np.testing.assert_allclose(times.step_ms, 20)
    np.testing.assert_allclose(times.step_ms_p10, 12)
    np.testing.assert_allclose(times.step_ms_p90, 28)
    np.testing.assert_allclose(times.dispatch_ms, 2)
    assert times.num_steps == 3


def test_steps_are_waited_for_and_the_warm_up_does_not_count():
    def step(state, batch, key):
        if state == 0:
            time.sleep(0.3)
        time.sleep(0.01)
        return state + 1, {"loss": jnp.zeros(())}

    state, timings = time_step(step, 0, None, jax.random.key(0), num_steps=4, num_warmup=1)
    assert state == 5
    assert len(timings.finished) == len(timings.dispatched) == 4
    assert all(0.01 <= d <= f for d, f in zip(timings.dispatched, timings.finished, strict=True))
    assert min(timings.finished) < 0.3


def test_call_of_a_long_step_returns_before_the_step_is_finished():
    x = jnp.ones((1024, 1024))
    product = jax.jit(lambda x: x @ x @ x @ x)

    def step(state, batch, key):
        return state, product(x)

    _, timings = time_step(step, None, None, jax.random.key(0), num_steps=5)
    assert min(timings.dispatched) < 0.5 * min(timings.finished)
