"""The tiny study, its data, and its runs, made once."""

from dataclasses import replace

import jax
import pytest

from experiments.activelearn import algorithm, data
from experiments.activelearn.config import PRESETS, choose
from experiments.activelearn.run import init_state

TINY = PRESETS["tiny"]
DIGITS = choose(TINY, "balanced")


@pytest.fixture(scope="session")
def digits(cache_dir):
    return data.make_data(DIGITS, seed=0, data_dir=None, cache_dir=cache_dir)


@pytest.fixture(scope="session")
def untrained():
    """A state of the digits' network."""
    return jax.jit(lambda key: init_state(DIGITS, key))(jax.random.key(0))


@pytest.fixture
def make_algorithm():
    return lambda **changes: algorithm.make_algorithm(replace(TINY, **changes), None)
