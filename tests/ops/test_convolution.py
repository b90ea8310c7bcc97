import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from jax import lax

from jaxmed.ops import convolution


def sample(shape, seed=0, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def layout(num_spatial):
    axes = "DHW"[3 - num_spatial :]
    return f"N{axes}C", f"{axes}IO", f"N{axes}C"


def assert_same_values_and_gradients(ours, reference, *arguments, rtol):
    """Relative to the largest value of each result."""

    def evaluate(function):
        y, vjp = jax.vjp(function, *arguments)
        return y, *vjp(sample(y.shape, 9, y.dtype))

    for mine, wanted in zip(
        *(jax.jit(evaluate, static_argnums=0)(f) for f in (ours, reference)), strict=True
    ):
        assert mine.dtype == wanted.dtype and mine.shape == wanted.shape
        mine, wanted = (np.asarray(value, np.float64) for value in (mine, wanted))
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=rtol * np.abs(wanted).max())


def torch_reference(x, kernel, *, stride):
    """Transposed convolution as PyTorch defines it, padding and output padding as small as possible."""
    num_spatial = x.ndim - 2
    pads = []
    strides = (stride,) * num_spatial if isinstance(stride, int) else stride
    for size, step in zip(kernel.shape[:num_spatial], strides, strict=True):
        padding, output_padding = -((step - size) // 2), (size - step) % 2
        pads.append((size - 1 - padding, size - 1 - padding + output_padding))
    return lax.conv_general_dilated(
        x,
        kernel,
        (1,) * num_spatial,
        pads,
        lhs_dilation=strides,
        dimension_numbers=layout(num_spatial),
    )


def lax_reference(x, kernel, *, stride):
    num_spatial = x.ndim - 2
    strides = (stride,) * num_spatial if isinstance(stride, int) else stride
    return lax.conv_transpose(x, kernel, strides, "SAME", dimension_numbers=layout(num_spatial))


@pytest.fixture(params=[8, 1])
def num_devices(request, monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: request.param)
    return request.param


def check_transposed(spatial, window, stride, padding):
    x, kernel = sample((2, *spatial, 3)), sample((*window, 3, 4), 1)
    ours = functools.partial(convolution.conv_transpose, stride=stride, padding=padding)
    reference = functools.partial(lax_reference if padding == "SAME" else torch_reference, stride=stride)
    assert_same_values_and_gradients(ours, reference, x, kernel, rtol=1e-6)


WIDE = [((5,), (8,), 3), ((2, 3), (5, 4), 2), ((2, 1, 3), (4, 4, 5), 2)]
"""Windows of two taps or more in each phase; the others take one form, however many devices there are."""

OTHERS = [
    ((7,), (3,), 2),
    ((1,), (3,), 2),
    pytest.param((3, 4), (2, 2), 2, marks=pytest.mark.exhaustive),
    ((5, 4), (3, 3), 2),
    ((1, 3), (3, 4), 2),
    pytest.param((2, 3), (3, 3), 3, marks=pytest.mark.exhaustive),
    pytest.param((3, 4, 5), (2, 2, 2), 2, marks=pytest.mark.exhaustive),
    ((3, 2, 5), (3, 3, 3), 2),
    ((3, 2, 5), (1, 2, 3), (1, 2, 2)),
]


@pytest.mark.parametrize("padding", ["SAME", "TORCH"])
@pytest.mark.parametrize(("spatial", "window", "stride"), OTHERS)
def test_transposed_convolution_equals_the_dilated_one(spatial, window, stride, padding):
    check_transposed(spatial, window, stride, padding)


@pytest.mark.usefixtures("num_devices")
@pytest.mark.parametrize("padding", ["SAME", "TORCH"])
@pytest.mark.parametrize(("spatial", "window", "stride"), WIDE)
def test_transposed_convolution_of_wide_windows_equals_the_dilated_one(spatial, window, stride, padding):
    check_transposed(spatial, window, stride, padding)


@pytest.mark.parametrize("window", [2, 3])
def test_transposed_convolution_of_bfloat16_is_rounded_once(window):
    x, kernel = (
        sample((2, 5, 4, 3), 0, jnp.bfloat16),
        sample((window, window, 3, 4), 1, jnp.bfloat16),
    )
    conv_transpose = jax.jit(convolution.conv_transpose)
    exact = conv_transpose(*(np.asarray(array).astype(np.float32) for array in (x, kernel)))
    y = np.asarray(conv_transpose(x, kernel))
    assert y.dtype == jnp.bfloat16
    wanted = np.asarray(exact).astype(jnp.bfloat16)
    np.testing.assert_array_equal(y.astype(np.float32), wanted.astype(np.float32))
    assert_same_values_and_gradients(
        convolution.conv_transpose, functools.partial(lax_reference, stride=2), x, kernel, rtol=2**-7
    )


def test_transposed_convolution_by_scipy():
    # Spread x over every second place and correlate, the window centred: scipy convolves, hence the flip.
    x, kernel = sample((1, 4, 1)), sample((3, 1, 1), 1)
    spread = np.zeros(8)
    spread[::2] = np.asarray(x)[0, :, 0]
    wanted = scipy.signal.convolve(spread, np.asarray(kernel)[::-1, 0, 0])[1:9]
    conv_transpose = jax.jit(convolution.conv_transpose, static_argnames="padding")
    found = np.asarray(conv_transpose(x, kernel, padding="TORCH"))[0, :, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("num_devices")
@pytest.mark.parametrize(
    ("spatial", "window", "factor"),
    [
        ((5,), (3,), 2),
        pytest.param((4, 3), (3, 3), 2, marks=pytest.mark.exhaustive),
        ((4, 3), (2, 4), 2),
        pytest.param((3, 2, 5), (3, 3, 3), 2, marks=pytest.mark.exhaustive),
        ((3, 2, 5), (3, 2, 3), (1, 2, 3)),
        ((1, 1), (3, 3), 2),
    ],
)
def test_upsampled_convolution_equals_repeating_first(spatial, window, factor):
    factors = (factor,) * len(spatial) if isinstance(factor, int) else factor

    def reference(x, kernel):
        for axis, times in enumerate(factors, start=1):
            x = jnp.repeat(x, times, axis)
        strides = (1,) * len(spatial)
        return lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=layout(len(spatial)))

    ours = functools.partial(convolution.upsample_conv, factor=factor)
    x, kernel = sample((2, *spatial, 3)), sample((*window, 3, 2), 1)
    assert_same_values_and_gradients(ours, reference, x, kernel, rtol=1e-6)
    x, kernel = (jnp.asarray(np.asarray(array).astype(jnp.bfloat16)) for array in (x, kernel))
    assert_same_values_and_gradients(ours, reference, x, kernel, rtol=2**-6)


@pytest.mark.parametrize(("spatial", "block"), [((3,), 3), ((3, 2), 2), ((3, 1, 2), 2)])
def test_depth_to_space_by_reshaping(spatial, block):
    num = len(spatial)
    x = sample((2, *spatial, block**num * 5))
    y = jax.jit(convolution.depth_to_space, static_argnums=1)(x, block)
    order = [axis + move for axis in range(1, 1 + num) for move in (0, num)]
    split = np.asarray(x).reshape(2, *spatial, *(block,) * num, 5).transpose(0, *order, 2 * num + 1)
    np.testing.assert_array_equal(y, split.reshape(2, *(block * size for size in spatial), 5))
    np.testing.assert_array_equal(jax.jit(convolution.space_to_depth, static_argnums=1)(y, block), x)


def test_on_one_cpu_wide_windows_are_a_convolution_for_each_phase(num_devices):
    def count(window):
        arguments = sample((1, 3, 3, 2)), sample((window, window, 2, 2))
        equations = jax.make_jaxpr(lambda *own: convolution.conv_transpose(*own))(*arguments).eqns
        return sum(equation.primitive.name == "conv_general_dilated" for equation in equations)

    assert count(3) == 0
    assert count(4) == (4 if num_devices == 1 else 0)


def test_no_dilation_and_no_gather_is_left():
    def gradients(x, kernel):
        return jax.grad(lambda *args: (convolution.conv_transpose(*args) ** 2).sum(), (0, 1))(x, kernel)

    text = jax.jit(gradients).lower(sample((1, 4, 4, 4, 2)), sample((3, 3, 3, 2, 2))).as_text()
    assert "stablehlo.dot_general" in text
    assert "stablehlo.convolution" not in text and "gather" not in text


def test_refusals():
    x = sample((1, 4, 4, 2))
    with pytest.raises(ValueError, match="kernel"):
        convolution.conv_transpose(x, sample((2, 2, 2)))
    with pytest.raises(ValueError, match="stride 3"):
        convolution.conv_transpose(x, sample((2, 2, 2, 2)), stride=3)
    with pytest.raises(ValueError, match="2 channels"):
        convolution.depth_to_space(x)
    with pytest.raises(ValueError, match="multiples of 3"):
        convolution.space_to_depth(x, 3)
