import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxmed.bench import collectives
from jaxmed.ops import convolution, interpolation, pooling
from jaxmed.train import mesh


@pytest.fixture(scope="module")
def devices():
    return mesh.make_mesh(1, 4)


def compiled_text(function, devices, shape):
    split = NamedSharding(devices, PartitionSpec("data", "space"))
    return (
        jax.jit(function).lower(jax.ShapeDtypeStruct(shape, jnp.float32, sharding=split)).compile().as_text()
    )


def test_finds_a_sum_and_a_gather_over_devices(devices):
    whole = NamedSharding(devices, PartitionSpec())
    found = collectives.list_collectives(
        compiled_text(lambda x: (x.sum(1), jax.lax.with_sharding_constraint(x, whole)), devices, (2, 8, 3))
    )
    assert {one.kind: (one.shapes, one.num_bytes) for one in found} == {
        "all-reduce": (((2, 3),), 24),
        "all-gather": (((2, 8, 3),), 192),
    }
    assert any("reduce_sum" in one.origin for one in found)
    assert collectives.count_by_kind(found) == {"all-gather": (1, 192), "all-reduce": (1, 24)}
    exempt = jax.ShapeDtypeStruct((3, 1, 2), jnp.float32)
    assert [one.kind for one in collectives.moved_activations(found, exempt)] == ["all-gather"]
    assert len(collectives.moved_activations(found, ())) == 2


def test_reads_joined_and_asynchronous_operations():
    text = """
      %all-reduce.1 = (f32[3,3]{1,0}, bf16[5]{0}, f32[]) all-reduce(%a, %b, %c), channel_id=1
      %ag = (f32[2,3]{1,0}, f32[8,3]{1,0}) all-gather-start(%d), dimensions={0}, metadata={op_name="jit(f)/x"}
      %agd = f32[8,3]{1,0} all-gather-done(%ag)
      %cp = (s8[4]{0}, s8[4]{0}, u32[], u32[]) collective-permute-start(%e), source_target_pairs={{0,1}}
      ROOT %fusion = pred[2]{0} fusion(%all-reduce.1), kind=kLoop, calls=%all-reduce-like
    """
    assert collectives.list_collectives(text) == [
        collectives.Collective("all-reduce", ((3, 3), (5,), ()), 36 + 10 + 4),
        collectives.Collective("all-gather", ((8, 3),), 96, "jit(f)/x"),
        collectives.Collective("collective-permute", ((4,),), 4),
    ]


def test_a_program_on_one_device_has_none():
    assert collectives.list_collectives(jax.jit(jnp.sum).lower(jnp.ones(3)).compile().as_text()) == []


def kernel(size):
    return jnp.asarray(np.random.default_rng(0).normal(size=(size, size, size, 2, 3)), jnp.float32)


OPERATIONS = {
    "max_pool": functools.partial(pooling.max_pool, ceil_mode=True),
    "double": lambda x: interpolation.resize_linear(x, [2 * size for size in x.shape[1:-1]]),
    "double_less_one": lambda x: interpolation.resize_linear(x, [2 * size - 1 for size in x.shape[1:-1]]),
    "depth_to_space": lambda x: convolution.depth_to_space(jnp.concatenate([x] * 4, -1)),
    "conv_transpose_2": lambda x: convolution.conv_transpose(x, kernel(2)),
    "conv_transpose_3": lambda x: convolution.conv_transpose(x, kernel(3), padding="TORCH"),
    "upsample_conv": lambda x: convolution.upsample_conv(x, kernel(3)),
}


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        *((name, 9) for name in OPERATIONS),
        ("conv_transpose_2", 8),
        *(
            pytest.param(name, 8, marks=pytest.mark.exhaustive)
            for name in OPERATIONS
            if name != "conv_transpose_2"
        ),
    ],
)
def test_operations_keep_a_split_axis_split(name, depth, devices):
    def value_and_gradient(x):
        value, gradient = jax.value_and_grad(lambda x: (OPERATIONS[name](x[:, :depth]) ** 2).mean())(x)
        return value, gradient

    shape = (2, -(-depth // 4) * 4, 4, 5, 2)
    text = compiled_text(value_and_gradient, devices, shape)
    found = collectives.list_collectives(text)
    assert "all-reduce" in {one.kind for one in found}
    assert collectives.moved_activations(found, ()) == []

    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    split = jax.device_put(x, NamedSharding(devices, PartitionSpec("data", "space")))
    evaluate = jax.jit(value_and_gradient)
    for mine, wanted in zip(*(evaluate(value) for value in (split, x)), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-5, atol=1e-6)


def test_a_general_resize_collects_the_axis(devices):
    text = compiled_text(lambda x: interpolation.resize_linear(x, (11, 4, 5)).sum(), devices, (2, 8, 4, 5, 2))
    assert collectives.moved_activations(collectives.list_collectives(text), ())
