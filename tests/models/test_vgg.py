"""VGG: parameter counts, features before the last ReLU, dropout, sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models.vgg import VGG

SMALL = VGG(5, stages=((4,), (6, 6)), hidden=(8, 7), pooled_size=2)
X = np.random.default_rng(0).normal(size=(3, 12, 12, 1)).astype(np.float32)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def shapes(model, size=224, channels=1):
    return jax.eval_shape(
        lambda x: model.init(jax.random.key(0), x, train=False)["params"],
        jnp.zeros((1, size, size, channels)),
    )


@pytest.mark.parametrize(("num_outputs", "wanted"), [(104, 134_693_928), (24, 134_366_168)])
def test_vgg16_has_the_originals_parameters(num_outputs, wanted):
    assert count(shapes(VGG(num_outputs, conv_bias=True))) == wanted
    assert count(shapes(VGG(num_outputs))) == wanted - 4224


@pytest.mark.parametrize(("channels", "wanted"), [(1, 14_721_984), (2, 14_722_560), (3, 14_723_136)])
def test_stages_of_vgg16(channels, wanted):
    params = shapes(VGG(9, hidden=(), pooled_size=1, conv_bias=True), channels=channels)
    assert count(params["trunk"]) == wanted
    assert params["head"]["kernel"].shape == (512, 9)


def test_any_large_enough_size_gives_the_same_parameters():
    assert jax.tree.map(jnp.shape, shapes(SMALL, 12)) == jax.tree.map(jnp.shape, shapes(SMALL, 19))


@pytest.fixture(scope="module")
def variables():
    drawn = jax.eval_shape(lambda x: SMALL.init(jax.random.key(0), x, train=False), X)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda x: np.abs(rng.normal(size=x.shape, scale=0.5)).astype(x.dtype), drawn)


def test_outputs_are_the_head_on_rectified_features(variables):
    variables = jax.tree.map(lambda x: x, variables)
    kernel = variables["params"]["trunk"]["hidden_1"]["kernel"].copy()
    kernel[:, ::2] *= -1
    variables["params"]["trunk"]["hidden_1"]["kernel"] = kernel
    apply = jax.jit(SMALL.apply, static_argnames=("train", "method"))
    features = np.asarray(apply(variables, X, train=False, method=VGG.features))
    assert (features < 0).any(), "features come before the ReLU"
    head = variables["params"]["head"]
    np.testing.assert_allclose(
        apply(variables, X, train=False),
        np.maximum(features, 0) @ head["kernel"] + head["bias"][None],
        rtol=1e-5,
    )
    assert features.shape == (3, 7)


def test_without_hidden_layers_the_pooled_maps_are_the_features():
    model = VGG(5, stages=((4,), (6,)), hidden=(), pooled_size=1)
    values = jax.jit(model.init, static_argnames="train")(jax.random.key(0), X, train=False)
    features = jax.jit(model.apply, static_argnames=("train", "method"))(
        values, X, train=False, method=VGG.features
    )
    assert features.shape == (3, 6)
    assert (features >= 0).all()


def test_dropout_is_by_example_and_only_in_training(variables):
    @jax.jit
    def train(x, key):
        return SMALL.apply(variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])[0]

    same = np.repeat(X[:1], 4, axis=0)
    first, again, other = (np.asarray(train(same, jax.random.key(seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first[0], first[1])
    still = np.asarray(jax.jit(lambda x: SMALL.apply(variables, x, train=False))(same))
    np.testing.assert_allclose(still[0], still[1], rtol=1e-6)


def test_the_original_on_small_patches_has_its_parameters():
    """Convolutions 14,713,536 for one channel; 512 to 4096, 4096 and 2 where one pixel is left."""
    model = VGG(2, pooled_size=1, conv_bias=True, batch_norm=False)
    assert count(shapes(model, 16)) == count(shapes(model, 32)) == 33_604_290
    assert count(shapes(VGG(2, conv_bias=True, batch_norm=False), 16)) == 134_267_586


def test_images_too_small_for_the_pools_are_seen_enlarged(variables):
    apply = jax.jit(lambda x: SMALL.apply(variables, x, train=False))
    small = X[:, :2, :3]
    enlarged = jax.image.resize(small, (3, 4, 4, 1), "linear")
    np.testing.assert_allclose(apply(small), apply(enlarged), rtol=1e-5)
