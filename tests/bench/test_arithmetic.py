import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxmed.bench.arithmetic import Kind, MatrixArithmetic, count_matrix_arithmetic, count_matrix_bytes
from jaxmed.train import mesh as meshes

F32 = jnp.float32


def count(function, *shapes, dtype=F32):
    arguments = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    return count_matrix_arithmetic(jax.jit(function).trace(*arguments).jaxpr)


def test_product_of_matrices_has_2_m_n_k_flops_also_in_batches():
    assert count(jnp.matmul, (5, 7), (7, 3)).flops == {Kind("float32"): 2 * 5 * 3 * 7}
    assert count(jnp.matmul, (4, 5, 7), (4, 7, 3)).total == 4 * 2 * 5 * 3 * 7


@pytest.mark.parametrize("groups", [1, 4])
def test_convolution_counts_every_tap_of_every_output(groups):
    def convolve(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
        )

    flops = count(convolve, (2, 8, 8, 12), (3, 3, 12 // groups, 16)).total
    assert flops == 2 * (2 * 4 * 4 * 16) * (3 * 3 * 12 // groups)


def test_zeros_between_the_pixels_of_a_transposed_convolution_do_not_count():
    def transpose(x, kernel):
        return lax.conv_transpose(x, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    # Kernel 2, stride 2: every input pixel meets each tap once.
    assert count(transpose, (1, 4, 4, 3), (2, 2, 3, 5)).total == 2 * (4 * 4 * 3) * (2 * 2 * 5)


def test_gradient_of_a_product_costs_two_more():
    def loss(x, w):
        return (x @ w).sum()

    assert count(jax.value_and_grad(loss, argnums=(0, 1)), (8, 16), (16, 4)).total == 3 * 2 * 8 * 16 * 4


def test_loops_count_as_often_as_they_run_and_conditions_as_their_longer_branch():
    def loop(x):
        return lax.fori_loop(0, 7, lambda _, y: y @ y, x)

    def condition(x):
        return lax.cond(x[0, 0] > 0, lambda y: y @ y @ y, lambda y: y @ y, x)

    assert count(loop, (4, 4)).total == 7 * 2 * 4**3
    assert count(condition, (4, 4)).total == 2 * 2 * 4**3


def test_part_of_each_device_counts():
    mesh = meshes.make_mesh(4)
    part = jax.sharding.PartitionSpec("data")
    function = jax.shard_map(lambda x, w: x @ w, mesh=mesh, in_specs=(part, None), out_specs=part)
    assert count(function, (8, 3), (3, 5)).total == 2 * 8 * 3 * 5


def test_main_kind_is_the_one_with_most_arithmetic():
    def mixed(x, y):
        low = x.astype(jnp.bfloat16)
        return low @ low, jnp.matmul(y, y, precision="highest")

    assert count(mixed, (4, 4), (8, 8)).main_kind == Kind("float32", "highest")
    assert count(mixed, (8, 8), (4, 4)).main_kind == Kind("bfloat16", "default")
    assert MatrixArithmetic().main_kind == Kind("float32")


def test_bytes_are_operands_and_results_once_and_as_often_as_loops_run():
    def product(a, b):
        return a @ b

    a, b = jnp.zeros((3, 4)), jnp.zeros((4, 5), jnp.float32)
    once = 4 * (12 + 20 + 15)
    assert count_matrix_bytes(jax.make_jaxpr(product)(a, b)) == once

    def loop(a, b):
        return jax.lax.scan(lambda carry, _: (carry, (a @ b).sum()), 0.0, length=7)

    assert count_matrix_bytes(jax.make_jaxpr(loop)(a, b)) == 7 * once
