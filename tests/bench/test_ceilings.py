import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.bench import ceilings, cost
from jaxmed.bench.arithmetic import Kind
from jaxmed.bench.step import time_step

CEILINGS = ceilings.Ceilings(
    peak_flops_per_second=1e12,
    peak_dtype="float32",
    peak_precision="default",
    peak_matmul_size=1024,
    peak_bytes_per_second=1e11,
    peak_copy_bytes=2**28,
)


def test_roofline_of_a_step_that_memory_bounds():
    found = ceilings.roofline(flops=4e9, num_bytes=1e9, step_seconds=0.02, ceilings=CEILINGS)
    # 4 ms of arithmetic, 10 ms of traffic.
    assert found.bound == "memory"
    np.testing.assert_allclose(found.attainable_ms, 10)
    np.testing.assert_allclose(found.roofline_fraction, 0.5)
    np.testing.assert_allclose(found.arithmetic_intensity, 4)
    np.testing.assert_allclose(found.balance_intensity, 10)
    np.testing.assert_allclose(found.achieved_flops_per_second, 2e11)
    np.testing.assert_allclose(found.achieved_bytes_per_second, 5e10)


def test_roofline_of_a_step_that_arithmetic_bounds():
    found = ceilings.roofline(flops=5e10, num_bytes=1e9, step_seconds=0.1, ceilings=CEILINGS)
    assert found.bound == "arithmetic"
    np.testing.assert_allclose(found.attainable_ms, 50)
    np.testing.assert_allclose(found.roofline_fraction, 0.5)


@pytest.fixture(scope="module")
def measured():
    return ceilings.measure_ceilings(Kind("float32"), jax.devices()[:1])


def test_ceilings_are_those_of_a_computer(measured):
    assert 1e8 < measured.peak_flops_per_second < 1e15
    assert 1e8 < measured.peak_bytes_per_second < 1e13
    assert measured.peak_matmul_size >= 512
    assert measured.peak_copy_bytes >= 2**26


def test_product_of_matrices_comes_near_the_ceiling_and_a_sum_does_not(measured):
    def reached(function, *arguments):
        traced = jax.jit(function).trace(*arguments)
        compiled = traced.lower().compile()
        counted = cost.count_cost(traced, compiled, num_devices=1)

        def step(state, batch, key):
            return state, compiled(*arguments)

        _, timings = time_step(step, None, None, jax.random.key(0), num_steps=5)
        return ceilings.roofline(counted.flops, counted.bytes, min(timings.finished), measured)

    size = measured.peak_matmul_size
    a = jax.random.normal(jax.random.key(0), (size, size))
    product = reached(jnp.matmul, a, a)
    assert product.bound == "arithmetic"
    # Another process may take the processor from either measurement.
    assert 0.2 < product.roofline_fraction < 2.5
    total = reached(lambda x: x.sum(), jnp.ones(2**25))
    assert total.bound == "memory"
    assert total.achieved_flops_per_second < measured.peak_flops_per_second


def test_ceiling_is_that_of_one_device_while_all_work(measured):
    together = ceilings.measure_ceilings(Kind("bfloat16", "highest"), jax.devices()[:4])
    assert (together.peak_dtype, together.peak_precision) == ("bfloat16", "highest")
    # They share the processor's cores and its memory.
    assert together.peak_bytes_per_second < measured.peak_bytes_per_second
