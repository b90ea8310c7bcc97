"""Every form of convolution against that of lax, values and gradients; and which one `conv` takes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmed.ops import convolution
from jaxmed.ops import convolution_forms as forms

LAYOUTS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def sample(shape, seed=0, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def reference(x, kernel, stride, padding, dilation, num_groups):
    return lax.conv_general_dilated(
        x,
        kernel,
        stride,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=LAYOUTS[x.ndim - 2],
        feature_group_count=num_groups,
    )


def values_and_gradients(function, x, kernel):
    def evaluate(x, kernel):
        y, vjp = jax.vjp(function, x, kernel)
        return y, *vjp(sample(y.shape, 9, y.dtype))

    return jax.jit(evaluate)(x, kernel)


def assert_equals_lax(spatial, window, channels, *, stride, padding, dilation=1, num_groups=1, bound=1e-6):
    """To `bound` of the largest element of the result and of each gradient."""
    num, (inside, outside) = len(spatial), channels
    conv = functools.partial(
        convolution.conv, stride=stride, padding=padding, dilation=dilation, num_groups=num_groups
    )

    def wanted(x, kernel):
        per_axis = ((value,) * num if isinstance(value, int) else value for value in (stride, dilation))
        pads = [(padding, padding)] * num if isinstance(padding, int) else padding
        steps, distances = per_axis
        return reference(x, kernel, steps, pads, distances, num_groups)

    x, kernel = sample((2, *spatial, inside)), sample((*window, inside // num_groups, outside), 1)
    for mine, theirs in zip(*(values_and_gradients(f, x, kernel) for f in (conv, wanted)), strict=True):
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=bound * np.abs(theirs).max())


@pytest.fixture
def one_device(monkeypatch):
    """The forms of one CPU: these tests run with eight."""
    monkeypatch.setattr(jax, "device_count", lambda: 1)


CASES = {
    "volume": ((5, 4, 3), (3, 3, 3), (2, 3), {"stride": 1, "padding": "SAME"}),
    "volume strided": ((5, 6, 7), (3, 3, 3), (2, 3), {"stride": 2, "padding": "SAME"}),
    "volume strided as PyTorch": ((6, 5, 4), (3, 3, 3), (2, 3), {"stride": 2, "padding": 1}),
    "volume anisotropic": ((4, 5, 6), (1, 3, 3), (2, 3), {"stride": (1, 2, 2), "padding": "SAME"}),
    "volume of one channel": ((6, 5, 7), (5, 3, 5), (1, 2), {"stride": 2, "padding": "VALID"}),
    "volume dilated": ((7, 6, 5), (3, 3, 3), (2, 2), {"stride": 1, "padding": "SAME", "dilation": 2}),
    "volume wide": ((4, 3, 5), (3, 3, 3), (16, 2), {"stride": 1, "padding": "SAME"}),
    "volume wide strided": ((4, 6, 5), (3, 3, 3), (17, 3), {"stride": 2, "padding": 1}),
    "volume pads": ((3, 4, 5), (2, 3, 2), (2, 2), {"stride": 1, "padding": ((0, 2), (1, 0), (3, 1))}),
    "volume grouped": ((5, 4, 3), (3, 3, 3), (4, 6), {"stride": 1, "padding": "SAME", "num_groups": 2}),
    "volume depthwise": ((5, 4, 3), (3, 3, 3), (3, 3), {"stride": 1, "padding": "SAME", "num_groups": 3}),
    "image": ((5, 6), (3, 3), (2, 3), {"stride": 1, "padding": "SAME"}),
    "image strided": ((7, 6), (4, 4), (2, 3), {"stride": 2, "padding": 1}),
    "image wide": ((5, 6), (3, 3), (48, 2), {"stride": 1, "padding": "SAME"}),
    "image wide strided": ((7, 6), (5, 5), (50, 3), {"stride": 2, "padding": "SAME"}),
    "image grouped": ((5, 6), (3, 3), (4, 6), {"stride": 2, "padding": 1, "num_groups": 2}),
    "image depthwise": ((5, 6), (3, 3), (3, 6), {"stride": 1, "padding": "SAME", "num_groups": 3}),
    "image depthwise strided": (
        (7, 6),
        (3, 3),
        (3, 3),
        {"stride": 2, "padding": "SAME", "dilation": 2, "num_groups": 3},
    ),
    "pointwise": ((3, 4, 5), (1, 1, 1), (3, 2), {"stride": 1, "padding": "SAME"}),
    "pointwise strided": ((5, 4), (1, 1), (3, 2), {"stride": 2, "padding": "VALID"}),
    "line": ((7,), (3,), (2, 3), {"stride": 2, "padding": "SAME"}),
}


@pytest.mark.parametrize("case", CASES)
def test_equals_lax(case, one_device):
    spatial, window, channels, options = CASES[case]
    assert_equals_lax(spatial, window, channels, **options)


@pytest.mark.parametrize("case", ["volume strided as PyTorch", "image depthwise"])
def test_bfloat16_is_as_near_to_the_exact_result_as_that_of_lax(case, one_device):
    spatial, window, (inside, outside), options = CASES[case]
    options = {"num_groups": 1, **options}
    x = sample((2, *spatial, inside), 0, jnp.bfloat16)
    kernel = sample((*window, inside // options["num_groups"], outside), 1, jnp.bfloat16)
    conv = jax.jit(functools.partial(convolution.conv, **options))
    exact = np.asarray(conv(*(np.asarray(array).astype(np.float32) for array in (x, kernel))))
    y = np.asarray(conv(x, kernel))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(np.float32), exact, rtol=0, atol=2**-7 * np.abs(exact).max())


def primitives(function, *arguments):
    return {equation.primitive.name for equation in jax.make_jaxpr(function)(*arguments).eqns}


def test_one_cpu_takes_slices_and_products_and_others_take_lax(monkeypatch):
    def rank_of_convolution(channels, num_groups=1):
        def conv(x, kernel):
            return convolution.conv(x, kernel, num_groups=num_groups)

        shapes = sample((1, 4, 4, 4, channels)), sample((3, 3, 3, channels // num_groups, 4))
        found = [e for e in jax.make_jaxpr(conv)(*shapes).eqns if e.primitive.name == "conv_general_dilated"]
        return [equation.invars[0].aval.ndim for equation in found]

    assert rank_of_convolution(2) == [5]  # eight devices
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    assert rank_of_convolution(2) == [4]
    assert rank_of_convolution(1) == [4]
    assert rank_of_convolution(4, num_groups=2) == [4, 4]
    assert rank_of_convolution(4, num_groups=4) == []
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert rank_of_convolution(2) == rank_of_convolution(1) == rank_of_convolution(4, num_groups=4) == [5]


@pytest.mark.parametrize(("channels", "num_products"), [(15, 0), (16, 1)])
def test_the_kernels_gradient_of_wide_volumes_is_a_product_on_one_cpu(channels, num_products, monkeypatch):
    def count_products():
        def gradient(x, kernel):
            return jax.grad(lambda kernel: convolution.conv(x, kernel).sum())(kernel)

        arguments = sample((1, 4, 4, 4, channels)), sample((3, 3, 3, channels, 2))
        return str(jax.make_jaxpr(gradient)(*arguments)).count("dot_general[")

    assert count_products() == 0  # eight devices
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    assert count_products() == num_products


def test_point_windows_are_matrix_products():
    assert "conv_general_dilated" not in primitives(
        convolution.conv, sample((1, 3, 3, 2)), sample((1, 1, 2, 3))
    )


def test_stacked_taps_keep_a_split_batch_split():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def loss(x, kernel):
        pads = ((1, 1),) * 3
        return (forms.stacked_taps(x, kernel, (1, 1, 1), pads, (1, 1, 1)) ** 2).sum()

    arguments = (
        jax.ShapeDtypeStruct((8, 4, 4, 4, 2), jnp.float32, sharding=split),
        jax.ShapeDtypeStruct((3, 3, 3, 2, 2), jnp.float32, sharding=whole),
    )
    text = jax.jit(jax.grad(loss, argnums=1)).lower(*arguments).compile().as_text()
    assert "all-reduce" in text and "all-gather" not in text


def test_refusals():
    x = sample((1, 4, 4, 2))
    for kernel, options in (
        (sample((3, 2, 2)), {}),
        (sample((3, 3, 3, 2)), {}),
        (sample((3, 3, 1, 3)), {"num_groups": 2}),
    ):
        with pytest.raises(ValueError, match="kernel: shape"):
            convolution.conv(x, kernel, **options)
    with pytest.raises(ValueError, match="reaches over"):
        convolution.conv(x, sample((3, 3, 2, 2)), dilation=2, padding="VALID")
    with pytest.raises(ValueError, match="2 spatial axes"):
        convolution.conv(x, sample((3, 3, 2, 2)), stride=(1, 1, 1))
