import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.models.classifier import Classifier
from jaxmed.models.mobilenet import InvertedResidual, MobileNetV2


def shapes(model, shape):
    return jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(shape), train=False))["params"]


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_mobilenet_has_the_known_number_of_parameters():
    params = shapes(Classifier(MobileNetV2(), 1000), (1, 224, 224, 3))
    assert count(params) == 3_504_872
    # The head of the released code of Chong et al.: 1280 -> 320 -> 10.
    params = shapes(Classifier(MobileNetV2(), 10, hidden=(320,)), (1, 224, 224, 3))
    assert count(params) == 2_637_002
    assert params["backbone"]["block_3"]["depthwise"]["conv"]["kernel"].shape == (3, 3, 1, 144)


def test_block_adds_its_input_where_the_shape_stays():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 6, 4)), jnp.float32)
    block = InvertedResidual(4, 2)
    shapes = jax.eval_shape(lambda: block.init(jax.random.key(0), images, train=False))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    np.testing.assert_array_equal(jax.jit(lambda x: block.apply(variables, x, train=False))(images), images)
    block = InvertedResidual(4, 2, stride=2)
    assert jax.eval_shape(
        lambda: block.init_with_output(jax.random.key(0), images, train=False)[0]
    ).shape == (2, 3, 3, 4)


def test_small_mobilenet_gives_features_of_the_whole_image():
    model = MobileNetV2(((1, 4, 1, 1), (2, 6, 2, 2)), stem=4, features=8)
    images = jnp.ones((2, 16, 16, 1))
    features, _ = jax.jit(lambda: model.init_with_output(jax.random.key(0), images, train=False))()
    assert features.shape == (2, 8)
