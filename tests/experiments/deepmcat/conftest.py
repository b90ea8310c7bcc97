"""The tiny preset on its phantom images."""

import jax
import pytest

from experiments.deepmcat import algorithm, data
from experiments.deepmcat.config import PRESETS


@pytest.fixture(scope="package")
def config():
    return PRESETS["tiny"]


@pytest.fixture(scope="package")
def tiny_data(config, cache_dir):
    return data.make_data(config, seed=0, data_dir=None, cache_dir=cache_dir)


@pytest.fixture(scope="package")
def method(config, tiny_data):
    return algorithm.make_algorithm(config, tiny_data)


@pytest.fixture(scope="package")
def first_state(method, tiny_data):
    return jax.jit(method.init)(jax.random.key(0), next(tiny_data.batches(0)))


@pytest.fixture(scope="package")
def clustered(method, first_state):
    return method.refresh(first_state)
