import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import pooling


def reference(x, ceil_mode, window):
    windows = (window,) * (x.ndim - 2) if isinstance(window, int) else window
    missing = [-size % wide for size, wide in zip(x.shape[1:-1], windows, strict=True)]
    return nn.max_pool(x, windows, windows, [(0, rest if ceil_mode else 0) for rest in missing])


def assert_equals_reduce_window(x, ceil_mode, window=2):
    def values_and_gradient(function):
        y, vjp = jax.vjp(function, x)
        cotangent = np.random.default_rng(1).normal(size=y.shape)
        return y, vjp(jnp.asarray(cotangent, y.dtype))[0]

    ours = jax.jit(
        lambda: values_and_gradient(lambda x: pooling.max_pool(x, window=window, ceil_mode=ceil_mode))
    )()
    theirs = jax.jit(lambda: values_and_gradient(lambda x: reference(x, ceil_mode, window)))()
    for mine, wanted in zip(ours, theirs, strict=True):
        assert mine.dtype == wanted.dtype == x.dtype
        np.testing.assert_array_equal(np.asarray(mine, np.float32), np.asarray(wanted, np.float32))


@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (2, 5, 7, 3), (1, 4, 6, 2, 2), (1, 5, 3, 4, 2), (3, 7, 2)])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_equals_reduce_window_with_ties(shape, ceil_mode):
    # Four values only, so that most windows hold their maximum more than once.
    x = jnp.asarray(np.random.default_rng(0).integers(0, 4, shape), jnp.float32)
    assert_equals_reduce_window(x, ceil_mode)


@pytest.mark.parametrize(
    ("shape", "window"), [((2, 7, 8, 3), 3), ((1, 6, 5, 4, 2), (1, 2, 2)), ((1, 7, 5, 4, 2), (3, 2, 1))]
)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_other_windows_equal_reduce_window_with_ties(shape, window, ceil_mode):
    x = jnp.asarray(np.random.default_rng(0).integers(0, 4, shape), jnp.float32)
    assert_equals_reduce_window(x, ceil_mode, window)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_equals_reduce_window_on_real_numbers(dtype):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 10, 4)), dtype)
    assert_equals_reduce_window(x, ceil_mode=True)


def test_gradient_of_equal_elements_goes_to_the_first():
    gradient = jax.jit(jax.grad(lambda x: pooling.max_pool(x).sum()))(np.zeros((1, 4, 4, 1), np.float32))
    wanted = np.zeros((4, 4))
    wanted[::2, ::2] = 1
    np.testing.assert_array_equal(np.asarray(gradient)[0, :, :, 0], wanted)


def test_partial_window_of_minus_infinity_keeps_its_gradient():
    slope = jax.jit(jax.grad(lambda x: pooling.max_pool(x, ceil_mode=True).sum()))
    gradient = np.asarray(slope(np.full((1, 3, 1), -np.inf, np.float32)))
    np.testing.assert_array_equal(gradient[0, :, 0], [1, 0, 1])


def test_nan_reaches_the_output_and_stops_the_gradient():
    x = np.array([np.nan, 1, 2, 3], np.float32).reshape(1, 4, 1)

    @jax.jit
    def evaluate(x):
        y, vjp = jax.vjp(pooling.max_pool, x)
        return y, vjp(jnp.ones_like(y))[0]

    y, gradient = map(np.asarray, evaluate(x))
    assert np.isnan(y[0, 0, 0])
    np.testing.assert_array_equal(gradient[0, :, 0], [0, 0, 0, 1])


def test_reverse_mode_has_second_derivatives_and_forward_mode_has_none():
    def squares(x):
        return (pooling.max_pool(x) ** 2).sum()

    x = np.array([1, 3, 4, 2], np.float32).reshape(1, 4, 1)
    second = jax.jit(jax.grad(lambda x: jax.grad(squares)(x).sum()))(x)
    np.testing.assert_array_equal(np.asarray(second)[0, :, 0], [0, 2, 2, 0])
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(pooling.max_pool, (jnp.asarray(x),), (jnp.asarray(x),))


@pytest.mark.parametrize("shape", [(2, 3), (2, 1, 4, 3)])
def test_refuses_shapes_without_a_window(shape):
    with pytest.raises(ValueError, match="spatial"):
        pooling.max_pool(jnp.zeros(shape))


def test_refuses_windows_of_other_ranks():
    with pytest.raises(ValueError, match="window"):
        pooling.max_pool(jnp.zeros((1, 4, 4, 1)), window=(2, 2, 2))
