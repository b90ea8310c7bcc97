import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.bench import arithmetic
from jaxmed.models.residual_unet import ResidualBlock, ResidualUNet

TINY = ResidualUNet(widths=(2, 3, 4))


def shapes_of(model, shape):
    return jax.eval_shape(
        lambda key, x: model.init_with_output(key, x, train=False), jax.random.key(0), jnp.zeros(shape)
    )


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def variables_of(model, shape):
    """Variables of unit scale without running the initialisers."""
    _, variables = shapes_of(model, shape)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(leaf.dtype), variables)


def block_size(width_in, width_out):
    norms, kernels = 2 * (width_in + width_out), 9 * width_out * (width_in + width_out)
    return norms + kernels + (width_in * width_out if width_in != width_out else 0)


def test_parameters_of_the_paper():
    _, variables = shapes_of(ResidualUNet(), (1, 64, 64, 1))
    assert count(variables["params"]) == 8_220_577
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))


def test_parameters_by_hand():
    _, variables = shapes_of(TINY, (1, 8, 8, 1))
    blocks = [(2, 2), (2, 3), (3, 4), (4, 3), (3, 2), (2, 2), (2, 2)]
    wanted = 9 * 2 + sum(block_size(*widths) for widths in blocks) + 2 * 2 + 2 + 1
    assert count(variables["params"]) == wanted


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((2, 64, 64, 1), marks=pytest.mark.exhaustive),
        pytest.param((1, 37, 50, 1), marks=pytest.mark.exhaustive),
        (3, 1, 5, 2),
        (1, 33, 17, 9, 1),
        pytest.param((1, 32, 32, 16, 3), marks=pytest.mark.exhaustive),
    ],
)
def test_output_has_the_size_of_the_input(shape):
    output, _ = shapes_of(ResidualUNet(out_channels=4, dtype=jnp.bfloat16), shape)
    assert output.shape == (*shape[:-1], 4)
    assert output.dtype == jnp.float32 and not output.weak_type


def test_shapes_of_the_levels():
    def intermediates(key, x):
        model = ResidualUNet()
        variables = model.init(key, x, train=False)
        _, captured = model.apply(variables, x, train=False, capture_intermediates=True, mutable=True)
        return captured["intermediates"]

    captured = jax.eval_shape(intermediates, jax.random.key(0), jnp.zeros((1, 37, 50, 1)))
    found = {
        name: captured[name]["__call__"][0].shape[1:]
        for name in captured
        if name.startswith(("down", "up")) or name in ("bottom", "out")
    }
    assert found == {
        "down_0": (37, 50, 16),
        "down_1": (19, 25, 32),
        "down_2": (10, 13, 64),
        "down_3": (5, 7, 128),
        "down_4": (3, 4, 256),
        "bottom": (2, 2, 256),
        "up_4": (3, 4, 128),
        "up_3": (5, 7, 64),
        "up_2": (10, 13, 32),
        "up_1": (19, 25, 16),
        "up_0": (37, 50, 8),
        "out": (37, 50, 8),
    }


def test_training_updates_statistics_has_finite_gradients_and_remat_changes_neither():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 9, 6, 1)), jnp.float32)
    labels = jnp.asarray(np.random.default_rng(2).integers(0, 2, (2, 9, 6, 1)), jnp.float32)
    variables = variables_of(TINY, x.shape)

    def loss(model, params):
        outputs, mutated = model.apply(
            {**variables, "params": params}, x, train=True, mutable=["batch_stats"]
        )
        return jnp.mean((outputs - labels) ** 2), mutated["batch_stats"]

    def value_and_gradient(model):
        return jax.jit(jax.value_and_grad(lambda params: loss(model, params), has_aux=True))(
            variables["params"]
        )

    plain = value_and_gradient(TINY)
    plain = jax.tree.map(np.asarray, plain)
    (_, stats), gradient = plain
    assert all(
        (new != old).all()
        for new, old in zip(*map(jax.tree.leaves, (stats, variables["batch_stats"])), strict=True)
    )
    assert all(np.isfinite(leaf).all() and np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))

    recomputed = value_and_gradient(TINY.clone(remat=True))
    assert jax.tree.structure(plain) == jax.tree.structure(recomputed)
    for leaf, again in zip(*map(jax.tree.leaves, (plain, recomputed)), strict=True):
        np.testing.assert_allclose(leaf, again, rtol=1e-5, atol=1e-6)


def test_remat_wraps_every_level():
    def count_wrapped(model):
        variables = variables_of(model, (1, 8, 8, 1))
        jaxpr = jax.make_jaxpr(lambda x: model.apply(variables, x, train=False))(jnp.zeros((1, 8, 8, 1)))
        return sum(equation.primitive.name in ("remat2", "checkpoint") for equation in jaxpr.eqns)

    assert count_wrapped(TINY.clone(remat=True)) == 4  # down, bottom, up, out
    assert count_wrapped(TINY) == 0


def test_evaluation_leaves_the_running_statistics_and_treats_examples_alone():
    x = np.random.default_rng(1).normal(size=(2, 7, 5, 1)).astype(np.float32)
    variables = variables_of(TINY, x.shape)
    apply = jax.jit(lambda x: TINY.apply(variables, x, train=False, mutable=["batch_stats"]))
    (both, mutated) = jax.tree.map(np.asarray, apply(x))
    jax.tree.map(np.testing.assert_array_equal, mutated["batch_stats"], variables["batch_stats"])
    with_another, _ = apply(np.stack([x[0], np.full_like(x[1], 7)]))
    np.testing.assert_array_equal(with_another[0], both[0])
    assert (with_another[1] != both[1]).any()


def variables_of_block(block, x):
    return jax.eval_shape(lambda key, x: block.init(key, x, False), jax.random.key(0), x)


def test_block_with_zero_kernels_is_the_identity():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 4, 4, 3)), jnp.float32)
    block = ResidualBlock(3)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variables_of_block(block, x))
    np.testing.assert_array_equal(jax.jit(lambda x: block.apply(variables, x, False))(x), x)


def test_block_equals_its_formula():
    # 1 x 1 images: only the centre tap of a 3 x 3 kernel meets the image.
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 1, 1, 3)), jnp.float32)
    block = ResidualBlock(4)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(leaf.dtype), variables_of_block(block, x)
    )
    params, stats = variables["params"], variables["batch_stats"]

    def norm_relu_conv(values, index):
        norm, running = params[f"norm_{index}"], stats[f"norm_{index}"]
        values = (values - running["mean"]) / np.sqrt(running["var"] + 1e-5) * norm["scale"] + norm["bias"]
        return np.maximum(values, 0) @ params[f"conv_{index}"]["kernel"][1, 1]

    values = np.asarray(x[:, 0, 0])
    with jax.numpy_rank_promotion("allow"):
        wanted = norm_relu_conv(norm_relu_conv(values, 0), 1) + values @ params["shortcut"]["kernel"][0, 0]
    found = jax.jit(lambda x: block.apply(variables, x, False))(x)
    np.testing.assert_allclose(found[:, 0, 0], wanted, rtol=1e-5)


def test_kernels_start_uniform_within_one_over_root_fan_in():
    model = ResidualUNet(widths=(64, 64))
    variables = jax.jit(lambda key: model.init(key, jnp.zeros((1, 2, 2, 1)), train=False))(jax.random.key(0))
    kernel = np.asarray(variables["params"]["bottom"]["block_0"]["conv_0"]["kernel"])
    bound = 1 / np.sqrt(9 * 64)
    assert 0.99 * bound < np.abs(kernel).max() <= bound
    np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.02)
    np.testing.assert_array_equal(variables["params"]["head"]["bias"], 0)


def test_refuses_a_single_width():
    with pytest.raises(ValueError, match="widths"):
        shapes_of(ResidualUNet(widths=(8,)), (1, 8, 8, 1))


def test_untrained_head_predicts_the_initial_probability_where_nothing_is_active():
    model = ResidualUNet(widths=(2, 2, 2), initial_probability=0.01)
    init = jax.jit(lambda key: model.init(key, jnp.zeros((1, 8, 8, 1)), train=False))
    bias = init(jax.random.key(0))["params"]["head"]["bias"]
    np.testing.assert_allclose(1 / (1 + np.exp(-np.asarray(bias))), [0.01], rtol=1e-6)
    with pytest.raises(ValueError, match="initial_probability: 1"):
        shapes_of(ResidualUNet(initial_probability=1.0), (1, 8, 8, 1))


def test_bfloat16_computes_in_it_and_keeps_everything_else_in_float32():
    """Parameters, statistics, logits, gradients: float32; convolutions but the head's: bfloat16."""
    model = TINY.clone(dtype=jnp.bfloat16)
    inputs = jax.ShapeDtypeStruct((2, 16, 16, 1), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), inputs)

    def loss(params, statistics, x):
        variables = {"params": params, "batch_stats": statistics}
        logits, changed = model.apply(variables, x, train=True, mutable=["batch_stats"])
        return jnp.square(logits).mean(), (logits, changed["batch_stats"])

    arguments = variables["params"], variables["batch_stats"], inputs
    (value, aux), gradients = jax.eval_shape(jax.value_and_grad(loss, has_aux=True), *arguments)
    assert {leaf.dtype.name for leaf in jax.tree.leaves((variables, value, aux, gradients))} == {"float32"}
    flops = arithmetic.count_matrix_arithmetic(jax.make_jaxpr(jax.grad(loss, has_aux=True))(*arguments)).flops
    in_float32 = sum(count for kind, count in flops.items() if kind.dtype == "float32")
    assert 0 < in_float32 < 0.05 * sum(flops.values())
