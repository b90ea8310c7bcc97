"""Coding by hand, and one pass over several data sets against a pass over each."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models.attention import ChannelAttention
from jaxmed.models.fsnet import FSNet
from jaxmed.models.unet import UNet

ZEROS = ((0, 2), (1, 0))


class Identity(nn.Module):
    def __call__(self, x, *, train):
        return x


def draw(*channels):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=(3, 2, 8, 8, width)), jnp.float32) for width in channels]


def test_coded_images_share_no_channel_and_keep_their_values():
    model = FSNet(ZEROS, Identity(), 0, ChannelAttention())
    images = draw(1, 2)
    coded = np.asarray(jax.jit(lambda images: model.apply({}, images, train=False))(images))
    assert coded.shape == (3, 2, 2, 8, 8, 3)
    np.testing.assert_array_equal(coded[:, 0, ..., :1], images[0])
    np.testing.assert_array_equal(coded[:, 1, ..., 1:], images[1])
    assert not np.any(coded[:, 0] * coded[:, 1])


@pytest.mark.parametrize("module_channels", [0, 4])
def test_sets_do_not_see_each_other_in_the_joint_pass(module_channels):
    """One pass gives each data set what it would get alone: no statistics are those of the batch."""
    unet = UNet(widths=(2, 3), out_channels=3, norm="instance", use_bias=False, num_convs=(1, 1))
    model, images = FSNet(ZEROS, unet, module_channels, ChannelAttention()), draw(1, 2)
    shapes = jax.eval_shape(lambda key: model.init(key, images, train=False), jax.random.key(0))
    rng = np.random.default_rng(1)
    variables = jax.tree.map(lambda x: rng.uniform(-0.5, 1, x.shape).astype(x.dtype), shapes)
    together = jax.jit(lambda images: model.apply(variables, images, train=False))(images)
    assert together.shape == (3, 2, 2, 8, 8, 3)
    segment = jax.jit(
        lambda *images: [model.apply(variables, x, n, method="segment") for n, x in enumerate(images)]
    )
    for number, alone in enumerate(segment(*images)):
        np.testing.assert_allclose(np.asarray(together)[:, number], alone, rtol=1e-3, atol=1e-4)


def test_every_set_has_a_module_of_its_own():
    model = FSNet(ZEROS, Identity(), 4, ChannelAttention())
    shapes = jax.eval_shape(lambda key: model.init(key, draw(1, 2), train=False), jax.random.key(0))
    kernels = {name: part["conv"]["kernel"].shape for name, part in shapes["params"].items()}
    assert kernels == {"fs_0": (1, 1, 1, 3, 4), "fs_1": (1, 1, 1, 3, 4)}
