import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmed.bench import loops


def compiled(function, *shapes):
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).lower(*arguments).compile()


def convolutions(x, kernel):
    y = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jnp.square(y).sum()


PROGRAMS = {
    "product": (jnp.matmul, (64, 128), (128, 32)),
    "convolution and its gradient": (
        jax.grad(convolutions, argnums=1),
        (2, 18, 18, 8),
        (3, 3, 8, 8),
    ),
    "elementwise and reductions": (lambda x: (jnp.tanh(x) * x + 1).sum(axis=0) / 3, (100, 50)),
    "fourier": (lambda x: jnp.abs(jnp.fft.fft(x)), (8, 1024)),
    "slices": (lambda x: lax.dynamic_slice(x, (3, 4), (5, 6)) * 2, (100, 100)),
    "update": (lambda x, y: lax.dynamic_update_slice(x * 2, y, (3, 4)), (100, 100), (5, 6)),
    "transposed": (lambda x, y: (x.T @ y, (x + 1).T), (64, 32), (64, 48)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_loops_it_counts_as_xla_does(name):
    function, *shapes = PROGRAMS[name]
    program = compiled(function, *shapes)
    counted, by_xla = loops.count(program.as_text()), program.cost_analysis()
    np.testing.assert_allclose(counted.flops, by_xla["flops"], rtol=0.02)
    np.testing.assert_allclose(counted.num_bytes, by_xla["bytes accessed"], rtol=0.02)
    assert loops.count_repetitions(program.as_text()) == loops.Counts()


def recurrence(x, weights, shifts, *, unroll):
    def body(carry, inputs):
        weight, shift = inputs
        return jnp.tanh(carry @ weight) + shift[None], carry.sum(axis=1)

    carry, sums = lax.scan(body, x, (weights, shifts), unroll=unroll)
    return carry.sum() + jnp.square(sums).sum()


@pytest.mark.parametrize("gradient", [False, True])
def test_loop_costs_what_its_unrolled_form_costs(gradient):
    shapes = ((32, 64), (10, 64, 64), (10, 64))

    def make(unroll):
        def function(*arguments):
            return recurrence(*arguments, unroll=unroll)

        return compiled(jax.grad(function, argnums=(0, 1)) if gradient else function, *shapes)

    rolled, unrolled = make(1), make(10)
    once, whole = rolled.cost_analysis(), unrolled.cost_analysis()
    more = loops.count_repetitions(rolled.as_text())
    assert once["flops"] < 0.2 * whole["flops"]  # the reason for all this
    np.testing.assert_allclose(once["flops"] + more.flops, whole["flops"], rtol=0.02)
    # The loop also copies what it carries, and zeros where it will write.
    total = once["bytes accessed"] + more.num_bytes
    assert 0.9 * whole["bytes accessed"] < total < 2 * whole["bytes accessed"]


def test_loops_in_loops_multiply():
    def function(x):
        return lax.fori_loop(0, 5, lambda _, y: lax.fori_loop(0, 3, lambda _, z: z @ z, y) + 1, x)

    counted = loops.count(compiled(function, (32, 32)).as_text())
    np.testing.assert_allclose(counted.flops, 5 * 3 * 2 * 32**3, rtol=0.02)


def test_loop_of_unknown_length_is_counted_once_and_said():
    def function(x):
        return lax.while_loop(lambda y: y.sum() < 1e6, lambda y: y @ y, x)

    program = compiled(function, (32, 32))
    more = loops.count_repetitions(program.as_text())
    assert more == loops.Counts(num_unknown=1)
    np.testing.assert_allclose(loops.count(program.as_text()).flops, 2 * 32**3, rtol=0.1)


def test_condition_costs_its_dearer_branch():
    def function(x):
        return lax.cond(x[0, 0] > 0, lambda y: y @ y @ y, lambda y: y + 1, x)

    counted = loops.count(compiled(function, (32, 32)).as_text())
    np.testing.assert_allclose(counted.flops, 2 * 2 * 32**3, rtol=0.02)
