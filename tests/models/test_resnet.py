import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models.classifier import Classifier
from jaxmed.models.resnet import ResNet


def count(model, shape):
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(shape), train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def test_resnet_18_has_the_known_number_of_parameters():
    assert count(Classifier(ResNet(), 10), (1, 32, 32, 3)) == 11_173_962


def test_small_resnet_halves_the_size_at_each_stage_and_trains():
    model = ResNet((4, 6), (1, 1))
    images = jnp.asarray(np.random.default_rng(0).normal(size=(4, 9, 8, 1)), jnp.float32)
    variables = jax.jit(model.init, static_argnames="train")(jax.random.key(0), images, train=False)
    shapes = jax.eval_shape(
        lambda x: model.apply(variables, x, train=False, capture_intermediates=True)[1]["intermediates"],
        images,
    )
    assert shapes["stage_1_block_0"]["__call__"][0].shape == (4, 5, 4, 6)
    train = jax.jit(lambda x: model.apply(variables, x, train=True, mutable=["batch_stats"]))
    features, updated = train(images)
    assert features.shape == (4, 6)
    before, after = jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(updated["batch_stats"])
    assert all(not np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    with pytest.raises(ValueError, match="wanted as many"):
        ResNet((4, 6), (1,)).init(jax.random.key(0), images, train=False)
