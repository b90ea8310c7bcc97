"""Values and derivatives of first and second order against those of lax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import convolution_forms as forms
from jaxmed.ops import planar_convolution

CASES = {
    "plain": ((5, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "even window, uneven pads": ((5, 4), (2, 3), (1, 1), ((0, 1), (2, 0)), (1, 1)),
    "dilated": ((6, 7), (3, 2), (1, 1), ((2, 2), (0, 3)), (2, 3)),
    "valid": ((5, 6), (3, 4), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "more zeros than the window reaches": ((3, 4), (1, 3), (1, 1), ((2, 1), (4, 3)), (1, 1)),
    "strided": ((7, 6), (3, 3), (2, 2), ((1, 1), (0, 1)), (1, 1)),
    "strided in one axis": ((6, 7), (3, 3), (1, 2), ((1, 1), (1, 1)), (1, 1)),
    "strided in the other axis": ((7, 5), (3, 2), (2, 1), ((1, 1), (1, 1)), (1, 1)),
    "nothing behind the last stride": ((6, 8), (2, 2), (3, 3), ((0, 0), (0, 0)), (2, 1)),
}


def sample(shape, seed=0, dtype=np.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def draw(case):
    spatial, window, strides, pads, dilations = CASES[case]
    x, kernel = sample((2, *spatial, 3)), sample((*window, 3, 4), 1)
    geometry = {"strides": strides, "pads": pads, "dilations": dilations}
    ours = functools.partial(call, planar_convolution.conv, *geometry.values())
    return ours, functools.partial(forms.native, **geometry), x, kernel


def call(conv, strides, pads, dilations, x, kernel):
    return conv(x, kernel, strides, pads, dilations)


def first(conv, x, kernel):
    y, pull_back = jax.vjp(conv, x, kernel)
    return y, *pull_back(sample(y.shape, 9))


def second(conv, x, kernel):
    """Gradients of both gradients' products with constants, in all that they depend on."""

    def measure(x, kernel, cotangent):
        pulled = jax.vjp(conv, x, kernel)[1](jnp.sin(cotangent))
        return sum((part * sample(part.shape, seed)).sum() for seed, part in enumerate(pulled, start=3))

    shape = jax.eval_shape(conv, x, kernel).shape
    return jax.grad(measure, argnums=(0, 1, 2))(x, kernel, sample(shape, 8))


@pytest.mark.parametrize("derivatives", [first, second])
@pytest.mark.parametrize("case", CASES)
def test_equals_lax(case, derivatives):
    ours, native, x, kernel = draw(case)
    evaluate = jax.jit(derivatives, static_argnums=0)
    for mine, wanted in zip(evaluate(ours, x, kernel), evaluate(native, x, kernel), strict=True):
        assert mine.dtype == wanted.dtype and mine.shape == wanted.shape
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_kernels_for_each_example_of_a_mapped_axis():
    ours, native, x, kernel = draw("plain")
    several = jnp.stack([kernel, 2 * kernel])
    mine, wanted = (
        jax.jit(jax.vmap(functools.partial(first, conv), in_axes=(None, 0)))(x, several)
        for conv in (ours, native)
    )
    for own, other in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-6 * np.abs(other).max())


def test_the_kernels_gradient_is_no_convolution():
    ours, _, x, kernel = draw("plain")
    text = str(jax.make_jaxpr(lambda x, kernel: first(ours, x, kernel)[2])(x, kernel))
    assert text.count("dot_general[") == 1
    assert text.count("conv_general_dilated[") == 2  # the convolution and, unused, its adjoint in the image


@pytest.mark.parametrize("case", ["plain", "strided"])
@pytest.mark.parametrize(("num_images", "wanted", "num_parts"), [(4, 2, 2), (4, 3, 4), (3, 2, 3)])
def test_a_batch_that_is_too_large_is_taken_in_equal_parts(case, num_images, wanted, num_parts, monkeypatch):
    ours, native, x, kernel = draw(case)
    x = jnp.concatenate([x, x + 1])[:num_images]
    results = first(native, x, kernel)
    size = planar_convolution._operand_size(x.size, results[0].size, kernel.shape[:2], CASES[case][2])
    monkeypatch.setattr(planar_convolution, "_MAX_OPERAND_SIZE", -(-size // wanted))
    evaluate = jax.jit(lambda x, kernel: first(ours, x, kernel))
    for own, other in zip(evaluate(x, kernel), results, strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-6 * np.abs(other).max())
    assert f"length={num_parts}" in str(jax.make_jaxpr(evaluate)(x, kernel))


def test_parts_bound_the_memory(monkeypatch):
    x, cotangent = (jax.ShapeDtypeStruct((16, 16, 16, size), jnp.float32) for size in (32, 8))
    geometry = ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))

    def temporary_bytes():
        function = jax.jit(lambda *own: planar_convolution.kernel_gradient(*own, *geometry))
        return function.lower(x, cotangent).compile().memory_analysis().temp_size_in_bytes

    whole = temporary_bytes()
    monkeypatch.setattr(planar_convolution, "_MAX_OPERAND_SIZE", 3 * x.size // 8)
    assert temporary_bytes() < whole / 2


def test_bfloat16_is_summed_in_float32():
    x, cotangent = sample((1, 64, 64, 1), 0, jnp.bfloat16), sample((1, 64, 64, 1), 1, jnp.bfloat16)
    gradient = jax.jit(planar_convolution.kernel_gradient, static_argnums=(2, 3, 4, 5))
    found = gradient(x, cotangent, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    wanted = (np.asarray(x, np.float64) * np.asarray(cotangent, np.float64)).sum()
    assert found.dtype == jnp.bfloat16
    assert float(found[0, 0, 0, 0]) == pytest.approx(wanted, rel=2**-8)
