import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import normalization

AXES = {"batch": lambda x: range(x.ndim - 1), "instance": lambda x: range(1, x.ndim - 1)}


def instance_norm(x):
    return normalization.standardize(x, normalization.instance_moments(x))


def group_norm(x, num_groups):
    return normalization.standardize(x, normalization.group_moments(x, num_groups))


def sample(shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (2, 3, 4, 5, 3), (6, 3), (1, 1, 1, 2)])
@pytest.mark.parametrize("kind", AXES)
def test_moments_equal_those_of_numpy(shape, kind):
    x = sample(shape)
    if not (axes := tuple(AXES[kind](x))):
        return
    found = jax.jit(normalization.moments, static_argnums=1)(x, axes)
    mean, variance = found.mean, found.variance
    assert mean.dtype == variance.dtype == jnp.float32
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axes, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(variance, exact.var(axes, keepdims=True), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_a_large_mean_costs_no_precision(offset):
    # The sum of squares alone would leave 24 - 2 log2(offset) bits: none.
    x = (offset + sample((2, 9, 16, 4))).astype(np.float32)
    found = jax.jit(normalization.moments, static_argnums=1)(x, (1, 2))
    mean, variance = found.mean, found.variance
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((1, 2), keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(variance, exact.var((1, 2), keepdims=True), rtol=1e-5)
    y = jax.jit(instance_norm)(x)
    wanted = (exact - exact.mean((1, 2), keepdims=True)) / exact.std((1, 2), keepdims=True)
    np.testing.assert_allclose(y, wanted, atol=2e-5 + 6e-8 * offset * 4)


def test_the_worst_centre_costs_a_factor_of_the_number_of_planes():
    # Everything unusual lies in the plane that the centre is taken from. A float32 sum of N terms is good to
    # about sqrt(N) roundings; the difference of the sums, to 64 times that.
    x = sample((1, 32, 64, 1))
    x[:, :, 32] += 1e4
    variance = jax.jit(normalization.moments, static_argnums=1)(x, (1, 2)).variance
    wanted = x.astype(np.float64).var((1, 2), keepdims=True)
    np.testing.assert_allclose(variance, wanted, rtol=64 * 2048**0.5 * 2**-24)


def test_constants_become_zero_with_finite_gradients():
    x = np.full((1, 4, 4, 2), 1234.5, np.float32)

    @jax.jit
    def evaluate(x, cotangent):
        y, vjp = jax.vjp(instance_norm, x)
        return y, vjp(cotangent)[0]

    y, gradient = evaluate(x, sample(x.shape))
    np.testing.assert_allclose(y, 0, atol=1e-3)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("shape", [(2, 5, 7, 4), (2, 3, 4, 5, 4)])
@pytest.mark.parametrize("num_groups", [1, 2, 4])
def test_groups_equal_flax_with_gradients(shape, num_groups):
    x, cotangent = jnp.asarray(sample(shape)), jnp.asarray(sample(shape, 1))
    layer = nn.GroupNorm(num_groups, epsilon=1e-5, use_bias=False, use_scale=False)

    @jax.jit
    def both(x):
        mine = jax.vjp(lambda x: group_norm(x, num_groups), x)
        theirs = jax.vjp(lambda x: layer.apply({}, x), x)
        return [(y, vjp(cotangent)[0]) for y, vjp in (mine, theirs)]

    for mine, wanted in zip(*both(x), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
    if num_groups == shape[-1]:
        np.testing.assert_allclose(jax.jit(instance_norm)(x), both(x)[0][0], atol=1e-6)


def test_bfloat16_has_float32_statistics():
    x = (300 + sample((2, 8, 8, 3))).astype(jnp.bfloat16)
    norm = jax.jit(instance_norm)
    found = norm(x)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, norm(x.astype(np.float32)), atol=1e-6)


def test_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="num_groups: 3"):
        group_norm(jnp.zeros((1, 4, 4)), 3)
