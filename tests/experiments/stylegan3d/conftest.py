import functools

import jax
import pytest

from experiments.stylegan3d import EXPERIMENT
from experiments.verbs import runs


@pytest.fixture(scope="session")
def tiny():
    return EXPERIMENT.presets["tiny"]


@pytest.fixture(scope="session")
def state(tiny):
    """Untrained."""
    return jax.jit(functools.partial(runs.init_state, EXPERIMENT, tiny))(jax.random.key(0))
