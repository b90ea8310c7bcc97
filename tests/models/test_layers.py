"""The layers against their namesakes in flax: the same parameters from the same key, values and gradients."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models import layers


def sample(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def assert_same(mine, theirs, bound=0.0):
    assert jax.tree.structure(mine) == jax.tree.structure(theirs)
    for found, wanted in zip(*map(jax.tree.leaves, (mine, theirs)), strict=True):
        assert found.dtype == wanted.dtype and not found.weak_type
        np.testing.assert_allclose(found, wanted, rtol=0, atol=bound * np.abs(wanted).max())


PAIRS = {
    "conv": (layers.Conv(4, strides=2), nn.Conv(4, (3, 3), (2, 2))),
    "conv grouped": (
        layers.Conv(4, feature_group_count=2, use_bias=False),
        nn.Conv(4, (3, 3), feature_group_count=2, use_bias=False),
    ),
    "conv dilated": (
        layers.Conv(3, (3, 1), kernel_dilation=2, padding=2),
        nn.Conv(3, (3, 1), kernel_dilation=2, padding=2),
    ),
    "transposed": (layers.ConvTranspose(3), nn.ConvTranspose(3, (2, 2), (2, 2))),
    "transposed wide": (layers.ConvTranspose(3, 3), nn.ConvTranspose(3, (3, 3), (2, 2))),
    "group norm": (layers.GroupNorm(2), nn.GroupNorm(2, epsilon=1e-5)),
    "instance norm": (layers.GroupNorm(), nn.InstanceNorm(epsilon=1e-5)),
    "prelu": (layers.PReLU(), nn.PReLU(negative_slope_init=0.25)),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_equals_flax(pair):
    x = sample((2, 6, 5, 4))

    def both(layer):
        def evaluate(x):
            variables = layer.init(jax.random.key(0), x)
            y, vjp = jax.vjp(layer.apply, variables, x)
            return variables, y, vjp(sample(y.shape, 1))

        return jax.jit(evaluate)(x)

    (variables, *mine), (wanted_variables, *theirs) = map(both, PAIRS[pair])
    assert_same(variables, wanted_variables)
    assert_same(mine, theirs, bound=2e-6)


@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_equals_flax_with_running_statistics(train):
    x = 0.5 + sample((4, 5, 6, 3))
    mine, theirs = layers.BatchNorm(), nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5)
    variables = jax.jit(theirs.init)(jax.random.key(0), x)
    assert_same(jax.jit(lambda key, x: mine.init(key, x, train=train))(jax.random.key(0), x), variables)
    variables = jax.tree.map(lambda leaf: np.asarray(leaf) + np.asarray(sample(leaf.shape)) ** 2, variables)

    def evaluate(apply, x):
        def run(variables, x):
            return apply(variables, x, mutable=["batch_stats"])

        y, vjp, stats = jax.vjp(run, variables, x, has_aux=True)
        return y, stats, vjp(sample(y.shape, 1))

    found = jax.jit(lambda x: evaluate(lambda *a, **k: mine.apply(*a, train=train, **k), x))(x)
    wanted = jax.jit(lambda x: evaluate(theirs.apply, x))(x)
    assert_same(found, wanted, bound=2e-6)


def test_up_sampling_convolution_equals_both_steps():
    x, layer = sample((1, 4, 3, 2)), layers.UpsampleConv(3, 2)
    variables = jax.jit(layer.init)(jax.random.key(0), x)
    repeated = np.repeat(np.repeat(x, 2, 1), 2, 2)
    wanted = jax.jit(nn.Conv(3, (2, 2)).apply)(variables, repeated)
    np.testing.assert_allclose(jax.jit(layer.apply)(variables, x), wanted, atol=1e-6)


def test_layers_compute_in_their_dtype_with_float32_parameters():
    x = sample((2, 4, 4, 4, 2))
    for layer in (
        layers.Conv(2, dtype=jnp.bfloat16),
        layers.ConvTranspose(2, dtype=jnp.bfloat16),
        layers.UpsampleConv(2, dtype=jnp.bfloat16),
        layers.GroupNorm(dtype=jnp.bfloat16),
    ):
        y, variables = jax.eval_shape(lambda x, layer=layer: layer.init_with_output(jax.random.key(0), x), x)
        assert y.dtype == jnp.bfloat16
        assert all(leaf.dtype == jnp.float32 and not leaf.weak_type for leaf in jax.tree.leaves(variables))


def test_an_unknown_normalisation_is_refused():
    with pytest.raises((ValueError, TypeError), match="instance"):  # TypeError where annotations are checked
        layers.normalize(jnp.zeros((1, 2, 2, 1)), "layer", train=True, name="norm")
