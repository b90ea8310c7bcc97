import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.train import memory

ARGUMENTS = (jnp.ones(4), {"x": jnp.ones(256)}, jax.random.key(0))


@pytest.mark.faults
def test_exhausted_device_is_told_with_the_need_and_what_helps(record_fault):
    @jax.jit
    def step(state, batch, key):
        # 4 TiB that cannot be fused away: sorted twice.
        large = jnp.sort(jax.random.normal(key, (2**20, 2**20)), axis=0)
        return state, {"loss": jnp.sort(large * batch["x"].sum(), axis=1).sum()}

    with (
        pytest.raises(memory.OutOfMemoryError) as caught,
        memory.explain_exhaustion(step, *ARGUMENTS),
    ):
        jax.block_until_ready(step(*ARGUMENTS))
    message = str(caught.value)
    gib = float(message.split("needs about ")[1].split(" GiB")[0])
    assert gib >= 4 * 2**10
    assert all(knob in message for knob in ("smaller batch", "remat", "mesh.space"))
    assert isinstance(caught.value.__cause__, jax.errors.JaxRuntimeError)
    record_fault("13 a step larger than the memory", message)


def test_other_errors_pass():
    def fail(_):
        raise ValueError("broken")

    @jax.jit
    def step(state, batch, key):
        return jax.pure_callback(fail, jax.ShapeDtypeStruct((), jnp.float32), state)

    with (
        pytest.raises(jax.errors.JaxRuntimeError, match="broken"),
        memory.explain_exhaustion(step, *ARGUMENTS),
    ):
        jax.block_until_ready(step(*ARGUMENTS))
    with pytest.raises(KeyError), memory.explain_exhaustion(step, *ARGUMENTS):
        raise KeyError(np.int32(0))
