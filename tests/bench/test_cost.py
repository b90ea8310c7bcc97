import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from jaxmed.bench import cost
from jaxmed.train import mesh as meshes


def both(function, *arguments, **options):
    traced = jax.jit(function, **options).trace(*arguments)
    return traced, traced.lower().compile()


def test_product_of_matrices_costs_2_m_n_k_and_moves_three_matrices():
    counted = cost.count_cost(*both(jnp.matmul, jnp.ones((64, 128)), jnp.ones((128, 32))), num_devices=1)
    assert counted.flops == counted.matrix_flops == 2 * 64 * 32 * 128
    assert counted.bytes == 4 * (64 * 128 + 128 * 32 + 64 * 32)
    assert counted.flops_counted_by == "compiled program"
    assert counted.library_calls == ()
    assert counted.num_unknown_loops == 0


def test_loops_count_as_often_as_they_run():
    def function(x):
        return lax.fori_loop(0, 50, lambda _, y: y @ y, x)

    counted = cost.count_cost(*both(function, jnp.ones((16, 16))), num_devices=1)
    np.testing.assert_allclose(counted.flops, 50 * 2 * 16**3, rtol=0.02)
    assert counted.matrix_flops == 50 * 2 * 16**3


def test_cost_and_memory_are_those_of_one_device():
    mesh = meshes.make_mesh(4)
    x = jax.device_put(jnp.ones((64, 128)), NamedSharding(mesh, PartitionSpec("data")))
    w = meshes.replicate(jnp.ones((128, 32)), mesh)
    traced, compiled = both(jnp.matmul, x, w)
    counted = cost.count_cost(traced, compiled, num_devices=4)
    assert counted.flops == counted.matrix_flops == 2 * 16 * 32 * 128
    memory = cost.analyse_memory(compiled)
    assert memory.argument_bytes == 4 * (16 * 128 + 128 * 32)
    assert memory.output_bytes == 4 * 16 * 32


def test_donated_arrays_count_once():
    _, compiled = both(lambda x: x + 1, jnp.ones((256, 256)), donate_argnums=0)
    memory = cost.analyse_memory(compiled)
    assert memory.aliased_bytes == memory.output_bytes == 4 * 256 * 256
    assert memory.peak_memory_bytes == memory.argument_bytes + memory.temporary_bytes


class LibraryCall:
    """A program whose product a library computes, as on GPUs; XLA counts no arithmetic in it."""

    def __init__(self, target):
        self.target = target

    def as_text(self):
        return (
            "ENTRY %main (x: f32[64,64]) -> f32[64,64] {\n"
            "  %x = f32[64,64]{1,0} parameter(0)\n"
            f'  ROOT %out = f32[64,64]{{1,0}} custom-call(%x, %x), custom_call_target="{self.target}"\n'
            "}\n"
        )

    def cost_analysis(self):
        return {"flops": 0.0, "bytes accessed": 3 * 4 * 64 * 64.0}


def test_arithmetic_that_libraries_hide_is_taken_from_the_traced_program():
    traced = jax.jit(jnp.matmul).trace(jnp.ones((64, 64)), jnp.ones((64, 64)))
    counted = cost.count_cost(traced, LibraryCall("__cublas$gemm"), num_devices=1)
    assert counted.flops == 2 * 64**3
    assert counted.flops_counted_by == "traced program"
    assert counted.library_calls == ("__cublas$gemm",)
    other = cost.count_cost(traced, LibraryCall("topk"), num_devices=1)
    assert other.flops == 0
    assert other.library_calls == ()


def test_program_of_a_backend_without_analysis_is_counted_from_its_text():
    traced, compiled = both(jnp.matmul, jnp.ones((64, 128)), jnp.ones((128, 32)))

    class WithoutAnalysis:
        as_text = compiled.as_text

        def cost_analysis(self):
            return None

    assert cost.count_cost(traced, WithoutAnalysis(), num_devices=1) == cost.count_cost(
        traced, compiled, num_devices=1
    )
