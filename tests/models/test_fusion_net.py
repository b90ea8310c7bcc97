"""FusionNet: published parameter counts, the arithmetic of its skips, odd sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models.fusion_net import FusionNet, ResidualUnit


def shapes(model, size=(32, 32), channels=3):
    return jax.eval_shape(
        lambda x: model.init(jax.random.key(0), x, train=False)["params"], jnp.zeros((1, *size, channels))
    )


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("channels", "wanted"), [pytest.param(1, 19_645_250, marks=pytest.mark.exhaustive), (3, 19_645_826)]
)
def test_parameters_of_the_published_network(channels, wanted):
    assert count(shapes(FusionNet(use_bias=True), channels=channels)) == wanted
    # 5 per unit of each width, and one more of each but the last to up-sample; two units but at the bottom.
    biases = 5 * (2 * (32 + 64 + 128 + 256) + 512) + 32 + 64 + 128 + 256
    assert biases == 7840
    assert count(shapes(FusionNet(), channels=channels)) == wanted - biases


@pytest.mark.parametrize("size", [(12, 9), (5, 6, 7)])
def test_any_size_in_two_and_three_dimensions(size):
    model, x = FusionNet(widths=(2, 3, 4)), jnp.zeros((2, *size, 1))
    logits, variables = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))
    assert logits.shape == (2, *size, 2)
    assert set(variables) == {"params", "batch_stats"}


def test_a_unit_adds_its_first_activation_to_the_residual_block():
    """With the block's last scale at 0, only the first convolution and the last one are left."""
    unit = ResidualUnit(3, 0.2, False, jnp.float32)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 5, 2)), jnp.float32)
    values = jax.jit(lambda: unit.init(jax.random.key(0), x, False))()
    params = jax.tree.map(lambda leaf: leaf, values["params"])
    params["norm_3"]["scale"] = np.zeros(3, np.float32)
    found = jax.jit(lambda p: unit.apply({**values, "params": p}, x, False))(params)

    def convolve(y, index):
        kernel = params[f"conv_{index}"]["kernel"]
        y = jax.lax.conv_general_dilated(
            y, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jax.nn.leaky_relu(y / np.sqrt(1 + 1e-5), 0.2)

    wanted = jax.jit(lambda x: convolve(convolve(x, 0), 4))(x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_kernels_start_normal_by_fan_out():
    unit, x = ResidualUnit(64, 0.0, False, jnp.float32), jnp.zeros((1, 4, 4, 3))
    kernel = jax.jit(lambda: unit.init(jax.random.key(0), x, False)["params"]["conv_1"]["kernel"])()
    assert float(np.asarray(kernel).std()) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
