"""Sizes and parameter counts of the networks of adversarial training, by shapes alone."""

import jax
import jax.numpy as jnp
import pytest

from jaxmed.models import dcgan

IMAGE = jnp.zeros((2, 80, 80, 1))


def shapes(model, *inputs):
    """Of outputs, and the number of parameters."""
    outputs, variables = jax.eval_shape(
        lambda key: model.init_with_output(key, *inputs, train=False), jax.random.key(0)
    )
    return jax.tree.map(lambda x: x.shape, outputs), sum(x.size for x in jax.tree.leaves(variables["params"]))


def dense(inputs, outputs):
    return (inputs + 1) * outputs


def conv(size, inputs, outputs):
    return (size**2 * inputs + 1) * outputs


def test_plain_generator_doubles_from_5_to_80():
    count = dense(100, 25 * 512) + conv(3, 512, 256) + conv(3, 256, 128) + conv(3, 128, 64) + conv(3, 64, 1)
    assert shapes(dcgan.Generator(), jnp.zeros((2, 100))) == ((2, 80, 80, 1), count)


def test_stages_of_stride_1_keep_the_size():
    model = dcgan.Generator((5, 5, 8), ((8, 2), (4, 1)), output_stride=1)
    count = dense(10, 200) + conv(3, 8, 8) + conv(3, 8, 4) + conv(3, 4, 1)
    assert shapes(model, jnp.zeros((2, 10))) == ((2, 10, 10, 1), count)


def test_generators_of_classes_append_them_to_the_latents():
    model = dcgan.Generator((5, 5, 4), (), num_classes=3)
    labels = jnp.zeros((2,), jnp.int32)
    assert shapes(model, jnp.zeros((2, 10)), labels)[1] == dense(13, 100) + conv(3, 4, 1)
    with pytest.raises(ValueError, match="no labels"):
        shapes(model, jnp.zeros((2, 10)))
    with pytest.raises(ValueError, match="labels for a generator of 0"):
        shapes(dcgan.Generator(), jnp.zeros((2, 100)), labels)


def test_discriminators_give_a_logit_and_classes():
    bare = conv(5, 1, 64) + conv(5, 64, 128) + conv(5, 128, 256) + conv(5, 256, 512)
    assert shapes(dcgan.Discriminator(), IMAGE) == ((2, 1), bare + dense(25 * 512, 1))
    found, count = shapes(dcgan.Discriminator(num_classes=3), IMAGE)
    assert found == ((2, 1), (2, 3))
    assert count == bare + dense(25 * 512, 4)


def test_residual_networks_mirror_each_other():
    outputs, count = shapes(dcgan.ResidualGenerator(), jnp.zeros((2, 128)))
    block = 2 * 9 * 128 * 128 + 128 * 128 + 2 * 2 * 128
    assert outputs == (2, 80, 80, 1)
    assert count == dense(128, 25 * 128) + 4 * block + 2 * 128 + conv(3, 128, 1)
    first = conv(3, 1, 128) + conv(3, 128, 128) + conv(1, 1, 128)
    others = 2 * conv(3, 128, 128) + conv(1, 128, 128)
    assert shapes(dcgan.ResidualCritic(), IMAGE) == ((2, 1), first + 3 * others + 128)
