import jax
import pytest

from experiments.aneurysm import config, data
from experiments.aneurysm.algorithm import make_algorithm


@pytest.fixture(scope="package")
def tiny():
    return config.PRESETS["tiny"]


@pytest.fixture(scope="package")
def tiny_data(tiny, cache_dir):
    return data.make_data(tiny, seed=0, data_dir=None, cache_dir=cache_dir)


@pytest.fixture(scope="package")
def tiny_state(tiny, tiny_data):
    algorithm = make_algorithm(tiny, tiny_data)
    return jax.jit(algorithm.init)(jax.random.key(0), next(tiny_data.batches(0)))
