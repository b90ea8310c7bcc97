import itertools
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms.supervised import supervised
from jaxmed.bench import measurement
from jaxmed.bench.arithmetic import Kind
from jaxmed.train import mesh


class Line(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(64, use_bias=False)(x)


def make_algorithm(**options):
    return supervised(
        Line(),
        optax.sgd(0.1),
        prepare=lambda batch, key: (batch["image"], batch["image"]),
        loss=lambda outputs, targets: jnp.square(outputs).reshape(len(outputs), -1).mean(axis=-1),
        **options,
    )


BATCH = {"image": np.ones((8, 256), np.float32)}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trace")
    result = measurement.measure(
        make_algorithm(),
        itertools.repeat(BATCH),
        key=jax.random.key(0),
        mesh=mesh.make_mesh(1),
        num_steps=6,
        trace_folder=folder,
    )
    return result, folder


def test_cost_of_a_matrix_product_is_counted_and_timed(measured):
    found, _ = measured
    # Forward and weight gradient are one product of 8 x 256 x 64 multiplications and additions each.
    assert found.cost.matrix_flops == 2 * 2 * 8 * 256 * 64
    assert found.cost.matrix_flops <= found.cost.flops < 2 * found.cost.matrix_flops
    assert found.memory.peak_memory_bytes >= 4 * (256 * 64 + 8 * 256)
    assert 0 < found.step.step_ms_p10 <= found.step.step_ms <= found.step.step_ms_p90
    assert found.step.num_steps == 6
    assert (found.batch_size, found.num_devices) == (8, 1)
    assert np.isclose(found.examples_per_second, 8 / found.step.step_ms * 1e3)
    assert 0 <= found.loop.input_wait_fraction < 1
    assert found.compilation.compile_seconds > 0
    assert found.compilation.cached_compile_seconds is not None
    assert found.ceilings.peak_dtype == "float32"
    assert found.roofline.achieved_flops_per_second < found.ceilings.peak_flops_per_second
    assert found.roofline.bound == "memory"


def test_all_quantities_stand_in_one_level_and_in_json(measured):
    flat = measured[0].flat()
    wanted = {"compile_seconds", "step_ms", "examples_per_second", "flops", "bytes", "roofline_fraction"}
    wanted |= {"peak_memory_bytes", "input_wait_fraction", "cached_compile_seconds", "dispatch_ms", "loop_ms"}
    assert wanted <= set(flat)
    assert not any(isinstance(value, dict) for value in flat.values())
    assert set(json.loads(json.dumps(flat, allow_nan=False))) == set(flat)
    parts = (measured[0].compilation, measured[0].step, measured[0].loop, measured[0].cost)
    parts += (measured[0].memory, measured[0].ceilings, measured[0].roofline)
    assert len(flat) == 3 + sum(len(vars(part)) for part in parts)  # no name twice


def test_some_steps_are_recorded_by_the_profiler(measured):
    (recording,) = measured[1].glob("plugins/profile/*/perfetto_trace.json.gz")
    assert recording.stat().st_size > 0


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_on_several_devices_the_cost_is_that_of_one(measured, mode):
    found = measurement.measure(
        make_algorithm(),
        itertools.repeat(BATCH),
        key=jax.random.key(0),
        mesh=mesh.make_mesh(4),
        mode=mode,
        num_steps=2,
        kind=Kind("float32", "highest"),
    )
    assert found.num_devices == 4
    assert found.cost.matrix_flops == measured[0].cost.matrix_flops / 4
    assert found.cost.flops < measured[0].cost.flops
    assert found.ceilings.peak_precision == "highest"


def test_depth_that_does_not_divide_is_measured_too():
    found = measurement.measure(
        make_algorithm(volumes=("image",)),
        itertools.repeat({"image": np.ones((2, 6, 64), np.float32)}),
        key=jax.random.key(0),
        mesh=mesh.make_mesh(1, 4),
        num_steps=2,
        kind=Kind("float32", "highest"),
    )
    assert (found.batch_size, found.num_devices) == (2, 4)
