import os
import signal
import subprocess
import sys
import threading

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms.supervised import supervised
from jaxmed.train import fit, mesh
from jaxmed.train.preemption import Preemption


class Line(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(1)(x)


ALGORITHM = supervised(
    Line(),
    optax.adam(1e-2),
    prepare=lambda batch, key: (batch["x"] + jax.random.normal(key, batch["x"].shape), batch["x"][:, :1]),
    loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
)


def make_batches(step=0):
    while True:
        yield {"x": np.random.default_rng(step).normal(size=(4, 3)).astype(np.float32)}
        step += 1


def train(state, num_steps, *, signal_at=None):
    def send(step, state, metrics):
        if step == signal_at:
            os.kill(os.getpid(), signal.SIGTERM)

    with Preemption() as preemption:
        return fit.fit(
            ALGORITHM,
            state,
            make_batches(int(state.step)),
            key=jax.random.key(1),
            num_steps=num_steps,
            mesh=mesh.make_mesh(1),
            observers=[send],
            should_stop=preemption,
        )


@pytest.mark.faults
@pytest.mark.parametrize("signal_at", range(1, 8))
def test_run_that_is_asked_to_stop_goes_on_bit_equal(signal_at, record_fault):
    start = jax.jit(ALGORITHM.init)(jax.random.key(0), next(make_batches()))
    straight = train(jax.tree.map(jnp.copy, start), 10)
    stopped = train(start, 10, signal_at=signal_at)
    assert int(stopped.step) in (signal_at, signal_at + 1)
    chex.assert_trees_all_equal(straight, train(stopped, 10))
    record_fault("1 SIGTERM at every step of a run", "stops within a step; resumed: the same bits")


def test_handlers_are_restored():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Preemption() as preemption:
        assert not preemption(1)
        assert signal.getsignal(signal.SIGTERM) != before[0]
        os.kill(os.getpid(), signal.SIGINT)
        assert preemption(2)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_second_signal_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), Preemption():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


def test_outside_of_the_main_thread_nothing_is_installed():
    seen = []

    def enter():
        with Preemption() as preemption:
            seen.append(preemption(1))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [False]


def test_default_action_holds_outside_of_the_block():
    program = (
        "import os, signal\n"
        "from jaxmed.train.preemption import Preemption\n"
        "with Preemption(): pass\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == -signal.SIGTERM
