import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import scaling
from jaxmed.algorithms.supervised import supervised
from jaxmed.bench import scaling as formulas


class Line(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(1, param_dtype=x.dtype)(x)


def make_algorithm(batch_size):
    return supervised(
        Line(),
        optax.sgd(0.1),
        prepare=lambda batch, key: (batch["x"], batch["x"][:, :1]),
        loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
    )


def make_batch(batch_size):
    return {"x": np.random.default_rng(0).standard_normal((batch_size, 4))}


def test_rows_compare_every_mesh_with_one_device_and_count_its_sums():
    rows = scaling.count(scaling.Case("line", make_algorithm, make_batch, in_float64=True), [1, 2])
    assert [(row["scaling"], row["mesh"], row["batch"]) for row in rows] == [
        ("strong", [1, 1], 8),
        ("strong", [2, 1], 8),
        ("weak", [1, 1], 1),
        ("weak", [2, 1], 2),
    ]
    assert all(row["difference"] < 1e-13 for row in rows)
    assert rows[0]["collectives"] == {}
    # Four weights and a bias, the loss: float64.
    assert sum(size for _, size in rows[1]["collectives"].values()) == 8 * (4 + 1 + 1)


def test_need_of_a_step_comes_from_its_shapes_and_its_compiled_sums():
    found = scaling.count_need("line", make_algorithm(8), make_batch(64), make_batch(8))
    # Forward and the gradient of the weights; the input has no gradient.
    assert (found.batch, found.flops) == (64, 2 * 2 * 64 * 4)
    machine = formulas.MACHINES["tpu-v5p"]
    rows = scaling.calculate(found, machine, [1, 8])
    assert [row["num_devices"] for row in rows] == [1, 8]
    assert rows[0]["efficiency"] == 1 > rows[1]["efficiency"]
    assert "| 100.0 % |" in scaling.format_calculation(rows[0])
    text = "\n".join(scaling.describe_inputs([found], [machine]))
    assert "Google Cloud" in text and "assumed" in text
