import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxmed.ops import riemannian
from jaxmed.report import geodesics


@pytest.fixture(scope="module")
def metric():
    rng = np.random.default_rng(0)
    matrices = jnp.asarray(np.tile(np.eye(2, dtype=np.float32), (12, 1, 1)))
    return riemannian.Metric(jnp.asarray(rng.normal(size=(12, 2)), jnp.float32), matrices, 0.8, 1e-2)


def test_geodesics_start_at_centroids(metric):
    figure = geodesics.draw_geodesics(metric, np.arange(12) % 2, num_paths=3, num_steps=20)
    lines = figure.axes[0].lines
    starts = np.array([line.get_xydata()[0] for line in lines])
    assert len(lines) == 3
    distance = np.abs(starts[:, None] - np.asarray(metric.centroids)[None]).max(-1).min(1)
    assert distance.max() < 1e-5
    plt.close(figure)


def test_energy_errors_fall_with_the_number_of_steps(metric):
    figure = geodesics.draw_energy(metric, (20, 80), num_paths=3)
    coarse, fine = (line.get_ydata()[-1] for line in figure.axes[0].lines)
    assert fine < coarse / 4
    plt.close(figure)
