import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmed.algorithms.supervised import supervised
from jaxmed.bench import step as bench_step
from jaxmed.train import mesh


class Line(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(64, use_bias=False)(x)


def test_cost_of_a_matrix_product_is_counted_and_timed():
    algorithm = supervised(
        Line(),
        optax.sgd(0.1),
        prepare=lambda batch, key: (batch["image"], batch["image"]),
        loss=lambda outputs, targets: jnp.square(outputs).mean(axis=-1),
    )
    batches = itertools.repeat({"image": np.ones((8, 256), np.float32)})
    cost = bench_step.measure_step(
        algorithm, batches, key=jax.random.key(0), mesh=mesh.make_mesh(1), num_steps=5
    )
    # Forward and weight gradient are one product of 8 x 256 x 64 multiplications and additions each.
    assert cost.flops >= 2 * 2 * 8 * 256 * 64
    assert cost.peak_memory_bytes >= 4 * (256 * 64 + 8 * 256)
    assert 0 < cost.step_ms_p10 <= cost.step_ms <= cost.step_ms_p90
    assert np.isclose(cost.examples_per_second, 8 / cost.step_ms * 1e3)
    assert 0 <= cost.input_wait_fraction < 1
    assert cost.compile_seconds > 0
