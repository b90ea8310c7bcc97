import jax
import pytest

from experiments.fsnet import algorithm, config, data


@pytest.fixture(scope="session")
def tiny():
    return config.PRESETS["tiny"]


@pytest.fixture(scope="session")
def tiny_data(tiny, cache_dir):
    return data.make_data(tiny, seed=0, data_dir=None, cache_dir=cache_dir)


@pytest.fixture(scope="session")
def tiny_state(tiny, tiny_data):
    """Of FS-Net, untrained."""
    return jax.jit(algorithm.make_algorithm(tiny, None).init)(jax.random.key(0), next(tiny_data.batches(0)))
