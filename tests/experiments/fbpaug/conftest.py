from dataclasses import replace

import jax
import numpy as np
import pytest

from experiments.fbpaug import algorithm, config, data


@pytest.fixture(scope="session")
def tiny():
    return config.PRESETS["tiny"]


@pytest.fixture(scope="session")
def tiny_data(tiny, cache_dir):
    return data.make_data(tiny, seed=0, data_dir=None, cache_dir=cache_dir)


@pytest.fixture(scope="session")
def tiny_state(tiny):
    """An untrained network whose threshold is moved so that it predicts something."""
    batch = {name: np.zeros(shape.shape, shape.dtype) for name, shape in data.example_batch(tiny).items()}
    method = algorithm.make_algorithm(replace(tiny, initial_probability=0.5), None)
    return jax.jit(method.init)(jax.random.key(0), batch)
