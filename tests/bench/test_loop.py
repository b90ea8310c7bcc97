import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmed.bench import loop
from jaxmed.train import fit, mesh

BATCH = {"x": np.ones((8, 4), np.float32)}


@struct.dataclass
class State:
    step: jax.Array
    weight: jax.Array


def make_algorithm(refresh=None):
    def init(key, batch):
        return State(step=jnp.zeros((), jnp.int32), weight=jnp.zeros(()))

    def step(state, batch, key):
        loss = batch["x"].mean()
        return State(step=state.step + 1, weight=state.weight + loss), {"loss": loss}

    return fit.Algorithm(init, step, refresh)


def time_loop(batches, algorithm=None, **counts):
    algorithm = algorithm or make_algorithm()
    key = jax.random.key(0)
    return loop.time_loop(
        algorithm, algorithm.init(key, BATCH), batches, key=key, mesh=mesh.make_mesh(1), **counts
    )


def slow_batches(seconds):
    while True:
        time.sleep(seconds)
        yield BATCH


def test_loop_is_the_real_one_and_takes_as_many_batches_as_it_says():
    taken = itertools.count()
    batches = (BATCH for _ in taken)
    state, timings = time_loop(batches, num_steps=6, num_warmup=2)
    assert int(state.step) == float(state.weight) == 2 + 6 + 1
    assert next(taken) == 2 + 6 + 1
    assert len(timings.intervals) == len(timings.waits) == 6


def test_waiting_for_input_is_found_in_the_intervals_in_which_it_happened():
    def batches():
        for number in itertools.count():
            time.sleep(0.2 if number == 5 else 0.0)
            yield BATCH

    _, timings = time_loop(batches(), num_steps=6, num_warmup=1)
    # Batch 5 is fetched after the call of the fifth step: between the observers of steps 4 and 5.
    assert int(timings.waits.argmax()) == int(timings.intervals.argmax()) == 3
    assert 0.2 <= timings.waits.max() <= timings.intervals.max()


def test_times_are_those_of_a_step_where_several_are_dispatched_together():
    taken = itertools.count()
    batches = (BATCH for _ in taken)
    state, timings = time_loop(batches, num_steps=8, num_warmup=2, steps_per_dispatch=3)
    assert int(state.step) == next(taken) == 3 * (1 + 3 + 1)
    assert len(timings.intervals) == len(timings.waits) == 3
    _, slow = time_loop(slow_batches(0.05), num_steps=9, num_warmup=3, steps_per_dispatch=3)
    np.testing.assert_allclose(slow.waits, 0.05, rtol=0.5)
    assert (slow.intervals >= slow.waits).all()


def test_slow_pipeline_takes_its_share_of_the_loop():
    _, at_hand = time_loop(itertools.repeat(BATCH), num_steps=10)
    _, slow = time_loop(slow_batches(0.05), num_steps=10)
    times = loop.summarise(1.0, at_hand, slow)
    assert 0.5 < times.input_wait_fraction < 1
    assert times.input_loop_ms >= 50
    assert times.input_slowdown > 1.5
    _, fast = time_loop(itertools.repeat(BATCH), num_steps=10)
    assert loop.summarise(1.0, at_hand, fast).input_wait_fraction < 0.3


def test_what_the_host_does_between_steps_is_overhead():
    def refresh(state):
        time.sleep(0.05)
        return state

    _, timings = time_loop(itertools.repeat(BATCH), make_algorithm(refresh), num_steps=5)
    times = loop.summarise(1.0, timings, timings)
    assert times.loop_ms >= 50
    assert np.isclose(times.loop_overhead_ms, times.loop_ms - 1.0)


def test_diverging_on_a_repeated_batch_does_not_end_the_measurement():
    nan = {"x": np.full((8, 4), np.nan, np.float32)}
    state, timings = time_loop(itertools.repeat(nan), num_steps=20, num_warmup=1)
    assert int(state.step) == 22
    assert float(state.weight) == 0
    assert len(timings.intervals) == 20
