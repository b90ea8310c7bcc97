from dataclasses import replace

import jax
import pytest

from experiments.boxseg import config, data, run


@pytest.fixture(scope="session")
def tiny():
    return config.PRESETS["tiny"]


@pytest.fixture(scope="session")
def tiny_data(tiny, cache_dir):
    return data.make_data(tiny, seed=0, data_dir=None, cache_dir=cache_dir)


@pytest.fixture(scope="session")
def tiny_state(tiny):
    """Untrained networks."""
    tiny = replace(tiny, method="corrected")
    return jax.jit(lambda key: run.init_state(tiny, key))(jax.random.key(0))
