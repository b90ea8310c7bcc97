"""Sizes and parameter counts of the networks of two-sample tests, by shapes alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models.plain_vgg import PlainVGG

IMAGE = jnp.zeros((2, 80, 80, 1))


@pytest.mark.parametrize(("channels", "count"), [(16, 703_089), (32, 1_991_137), (64, 6_322_881)])
def test_parameters_at_80_pixels(channels, count):
    model = PlainVGG(channels)
    outputs, variables = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), IMAGE, train=False))
    assert outputs.shape == (2,)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == count


def test_logits_are_linear_in_the_features():
    model = PlainVGG(2, num_blocks=1, num_features=3)
    images = jnp.asarray(np.random.default_rng(0).random((4, 6, 6, 1)), jnp.float32)
    variables = jax.jit(model.init, static_argnames="train")(jax.random.key(0), images, train=False)
    apply = jax.jit(model.apply, static_argnames=("train", "method"))
    features = np.asarray(apply(variables, images, method="features"))
    assert features.shape == (4, 3)
    weights = jax.tree.map(np.asarray, variables["params"]["logit"])
    expected = features @ weights["kernel"][:, 0] + weights["bias"]
    np.testing.assert_allclose(apply(variables, images, train=False), expected, rtol=1e-5)
