"""Parameter counts of published U-Nets, shapes, and what the options change."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models.unet import UNet

IMAGE, VOLUME = (1, 32, 32, 1), (1, 32, 32, 32, 1)
CICEK = UNet(widths=(64, 128, 256, 512), halved_first=True)
FSNET = UNet(widths=(16, 32, 64, 128), out_channels=3, num_convs=(2, 1))
NNUNET = UNet(
    widths=(32, 64, 128, 256, 320, 320),
    out_channels=2,
    norm="instance",
    downsampling="strided_conv",
    activation=nn.leaky_relu,
)
TINY = UNet(widths=(2, 3, 4), norm="batch")


def shapes_of(model, shape):
    return jax.eval_shape(
        lambda key, x: model.init_with_output(key, x, train=False), jax.random.key(0), jnp.zeros(shape)
    )


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def fill(tree):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.uniform(-0.5, 1, leaf.shape).astype(leaf.dtype), tree)


@pytest.mark.parametrize(
    ("model", "shape", "wanted"),
    [
        (UNet(), IMAGE, 31_030_593),
        # The multi-planar U-Net: normalised after every convolution, those that up-sample included.
        (UNet(norm="batch", upsampling="nearest_conv", normalize_up=True), IMAGE, 31_044_289),
        # The aneurysm detector, and its variant with transposed convolutions.
        (CICEK.clone(norm="batch", upsampling="nearest"), VOLUME, 16_320_257),
        (CICEK.clone(norm="batch"), VOLUME, 19_073_665),
        (CICEK.clone(out_channels=3, up_bias=False), (*VOLUME[:-1], 3), 19_069_955),
        # FS-Net's, with three and six classes; batch normalisation adds 1,408.
        (FSNET, VOLUME, 1_255_331),
        (FSNET.clone(out_channels=6), VOLUME, 1_255_382),
        (FSNET.clone(norm="batch", normalize_up=True), VOLUME, 1_255_331 + 1_408),
        (NNUNET, VOLUME, 31_194_050),
    ],
)
def test_parameters_of_published_networks(model, shape, wanted):
    logits, variables = shapes_of(model, shape)
    assert count(variables["params"]) == wanted
    assert logits.shape == (*shape[:-1], model.out_channels)
    assert all(leaf.dtype == jnp.float32 and not leaf.weak_type for leaf in jax.tree.leaves(variables))


def test_parameters_of_the_plain_nnunet_by_hand():
    widths, wanted = NNUNET.widths, 2 * (32 + 1)
    for previous, width in zip((1, *widths), widths, strict=False):
        wanted += 27 * width * (previous + width) + 3 * 2 * width
    for below, width in zip(widths[1:], widths, strict=False):
        wanted += 8 * below * width + width + 27 * width * 3 * width + 3 * 2 * width
    assert wanted == 31_194_050


@pytest.mark.parametrize("downsampling", ["max_pool", "strided_conv"])
@pytest.mark.parametrize("upsampling", ["transposed", "nearest_conv", "nearest"])
def test_output_has_the_size_of_the_input(downsampling, upsampling):
    model = TINY.clone(downsampling=downsampling, upsampling=upsampling, dtype=jnp.bfloat16)
    for shape in ((2, 13, 6, 1), (1, 5, 8, 9, 2)):
        logits, _ = shapes_of(model, shape)
        assert logits.shape == (*shape[:-1], 1)
        assert logits.dtype == jnp.float32 and not logits.weak_type


def test_strides_may_spare_the_depth():
    model = FSNET.clone(strides=((1, 2, 2), (2, 2, 2), (1, 2, 2)))
    logits, variables = shapes_of(model, (1, 6, 16, 16, 1))
    assert logits.shape == (1, 6, 16, 16, 3)
    assert variables["params"]["up_0"]["upsample"]["kernel"].shape == (1, 2, 2, 32, 16)


def test_rematerialisation_wraps_both_sides_of_the_finest_levels():
    _, variables = shapes_of(TINY, (1, 8, 8, 1))

    def count_wrapped(model):
        jaxpr = jax.make_jaxpr(lambda x: model.apply(fill(variables), x, train=False))(
            jnp.zeros((1, 8, 8, 1))
        )
        return sum(equation.primitive.name in ("remat2", "checkpoint") for equation in jaxpr.eqns)

    assert [count_wrapped(TINY.clone(remat_levels=levels)) for levels in (0, 1, 3)] == [0, 2, 5]
    assert jax.tree.structure(shapes_of(TINY.clone(remat_levels=3), (1, 8, 8, 1))[1]) == (
        jax.tree.structure(variables)
    )


def test_equals_its_formula():
    # 1 x 1 images: only the centre taps meet the image; max-pooling and the way up keep the one element.
    model = UNet(widths=(2, 3), num_convs=(1, 1), activation=jnp.tanh)
    x = np.random.default_rng(1).normal(size=(2, 1, 1, 1)).astype(np.float32)
    variables = fill(shapes_of(model, x.shape)[1])
    params = variables["params"]

    def conv(values, layer):
        return np.tanh(values @ layer["kernel"][1, 1] + layer["bias"][None])

    skip = conv(np.asarray(x[:, 0, 0]), params["down_0"]["conv_0"])
    bottom = conv(skip, params["down_1"]["conv_0"])
    up = params["up_0"]["upsample"]
    # Tap t of a transposed convolution reaches output 2 j + 1 - t: the first output is met by the last tap.
    raised = bottom @ up["kernel"][1, 1] + up["bias"][None]
    last = conv(np.concatenate([skip, raised], -1), params["up_0"]["conv_0"])
    wanted = last @ params["head"]["kernel"][0, 0] + params["head"]["bias"][None]
    found = jax.jit(lambda x: model.apply(variables, x, train=False))(x)
    np.testing.assert_allclose(found[:, 0, 0], wanted, rtol=1e-5)


@pytest.mark.parametrize("options", [{"widths": ()}, {"strides": (2,)}])
def test_refuses_levels_and_strides_that_do_not_fit(options):
    with pytest.raises(ValueError, match="widths"):
        shapes_of(TINY.clone(**options), (1, 8, 8, 1))
