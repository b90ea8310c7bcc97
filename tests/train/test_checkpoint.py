import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.train import mesh
from jaxmed.train.checkpoint import Checkpoints


def make_state(step=3):
    return {"step": jnp.asarray(step, jnp.int32), "net": {"kernel": jnp.arange(8.0) + step, "empty": {}}}


def test_state_comes_back_bit_for_bit_on_another_mesh(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, jax.device_put(make_state(), mesh.replicated(mesh.make_mesh(4))))
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(jax.eval_shape(make_state), mesh.make_mesh(2))
    chex.assert_trees_all_equal(restored, make_state())
    assert restored["net"]["kernel"].sharding.num_devices == 2


def test_saved_arrays_are_those_of_the_moment_of_saving(tmp_path):
    """A donated buffer is overwritten by the next step while the save may still be under way."""
    grow = jax.jit(lambda x: x + 1, donate_argnums=0)
    array = jnp.zeros((512, 512))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"step": jnp.asarray(1), "array": array})
        for _ in range(5):
            array = grow(array)
        jax.block_until_ready(array)
    with Checkpoints(tmp_path) as checkpoints:
        like = {"step": jnp.asarray(0), "array": jnp.ones((512, 512))}
        restored = checkpoints.restore(like, mesh.make_mesh(1))
    np.testing.assert_array_equal(restored["array"], 0)


def test_only_the_latest_are_kept_and_steps_can_be_chosen(tmp_path):
    with Checkpoints(tmp_path, max_to_keep=2) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, make_state(step))
        assert checkpoints.latest_step() == 3
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(jax.eval_shape(make_state), mesh.make_mesh(1), step=2)
    assert int(restored["step"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.isdigit()) == ["2", "3"]


def test_empty_folder_holds_no_checkpoint(tmp_path):
    with Checkpoints(tmp_path / "new") as checkpoints:
        assert checkpoints.latest_step() is None
        with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
            checkpoints.restore(make_state(), mesh.make_mesh(1))
