"""Channel attention against what can be worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax.sharding import NamedSharding, PartitionSpec

from jaxmed.bench import collectives
from jaxmed.models.attention import ChannelAttention
from jaxmed.train import mesh


def apply(x, **options):
    layer = ChannelAttention(**options)
    x = jnp.asarray(x, jnp.float32)
    run = jax.jit(lambda x: layer.init_with_output(jax.random.key(0), x)[0])
    return np.asarray(run(x))


def draw(*shape):
    return np.random.default_rng(0).normal(0, 0.3, shape).astype(np.float32)


@pytest.mark.parametrize("toward", ["similar", "dissimilar"])
def test_equal_channels_are_doubled(toward):
    x = np.repeat(draw(2, 3, 4, 5, 1), 6, axis=-1)
    np.testing.assert_allclose(apply(x, toward=toward), 2 * x, rtol=1e-5)


def test_equals_the_formula_image_by_image():
    x = draw(2, 4, 5, 3)
    for image, found in zip(x, apply(x), strict=True):
        a = image.reshape(-1, 3).T
        wanted = a + scipy.special.softmax(a @ a.T, axis=1) @ a
        np.testing.assert_allclose(found.reshape(-1, 3).T, wanted, rtol=1e-5, atol=1e-6)


def test_zero_channel_takes_the_mean_of_all():
    x = draw(1, 4, 4, 3)
    x[..., 1] = 0
    np.testing.assert_allclose(apply(x)[..., 1], x.mean(-1), rtol=1e-5, atol=1e-6)


def test_dissimilar_prefers_the_other_channel():
    """Orthogonal channels of norm s: own energy s^2, others 0."""
    x = np.zeros((1, 2, 1, 2), np.float32)
    x[0, 0, 0, 0] = x[0, 1, 0, 1] = 2.0
    own, other = scipy.special.softmax([4.0, 0.0])
    np.testing.assert_allclose(apply(x)[0, :, 0, 0], [2 + 2 * own, 2 * other], rtol=1e-5)
    np.testing.assert_allclose(apply(x, toward="dissimilar")[0, :, 0, 0], [2 + 2 * other, 2 * own], rtol=1e-5)


def test_learned_scale_starts_as_the_identity():
    x = draw(2, 3, 4, 5)
    np.testing.assert_array_equal(apply(x, learned_scale=True), x)


def test_large_features_give_finite_gradients():
    x = jnp.asarray(1e3 * draw(1, 4, 4, 4, 2))
    layer = ChannelAttention()
    assert np.isfinite(jax.jit(jax.grad(lambda x: layer.apply({}, x).sum()))(x)).all()


def test_gathers_nothing_where_depth_is_split():
    devices = mesh.make_mesh(1, 4)
    split = NamedSharding(devices, PartitionSpec("data", "space"))
    layer = ChannelAttention()
    program = jax.jit(jax.value_and_grad(lambda x: (layer.apply({}, x) ** 2).mean()))
    text = program.lower(jax.ShapeDtypeStruct((2, 8, 4, 4, 3), jnp.float32, sharding=split)).compile()
    found = collectives.list_collectives(text.as_text())
    assert {one.kind for one in found} == {"all-reduce"}
