"""Two processes write one checkpoint, and agree on what is there."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.train import mesh
from jaxmed.train.agreement import ask_first
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.train.checkpoint_errors import DamagedError

_SCRIPT = """
import sys
from pathlib import Path
import jax
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", 2, int(sys.argv[1]))
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxmed.train import mesh
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.train.checkpoint_errors import CheckpointError

grid, values = mesh.make_mesh(), np.arange(32, dtype=np.float32).reshape(8, 4)

def make_state(step, scale=1.0):
    def put(array, partition):
        sharding = NamedSharding(grid, partition)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    split = put(values * scale + step, PartitionSpec("data"))
    step = put(np.asarray(step, np.int32), PartitionSpec())
    return {"step": step, "split": split, "whole": put(values, PartitionSpec())}

with Checkpoints(Path(sys.argv[3]), max_to_keep=1) as checkpoints:
    print("found", checkpoints.latest_step())
    for step in (4, 5):
        checkpoints.save(step, make_state(step))
    checkpoints.save(5, make_state(5))
    for call in (
        lambda: checkpoints.save(6, make_state(6, np.nan)),
        lambda: checkpoints.restore(make_state(0), grid, step=4),
    ):
        try:
            call()
        except CheckpointError as error:
            print(type(error).__name__)
    restored = checkpoints.restore(make_state(0), grid)
    for shard in restored["split"].addressable_shards:
        np.testing.assert_array_equal(shard.data, values + 5)
    print("restored", int(restored["step"]), len(restored["split"].sharding.device_set))
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.faults
def test_checkpoint_of_two_processes_is_restored_by_one(tmp_path, record_fault):
    port, directory = free_port(), tmp_path / "checkpoints"
    (directory / "9").mkdir(parents=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, str(number), str(port), str(directory)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    ended = [process.communicate(timeout=120) for process in processes]
    for process, (output, errors) in zip(processes, ended, strict=True):
        assert process.returncode == 0, errors
        lines = [line for line in output.splitlines() if not line.startswith("[Gloo]")]
        assert lines == ["found None", "NotFiniteError", "DamagedError", "restored 5 4"]
    assert sum("damaged checkpoint in" in errors for _, errors in ended) == 1
    assert {path.name for path in directory.iterdir()} == {"5", "damaged"}
    values = np.arange(32, dtype=np.float32).reshape(8, 4)
    like = {"step": jnp.asarray(0), "split": values, "whole": values}
    with Checkpoints(directory) as checkpoints:
        restored = checkpoints.restore(like, mesh.make_mesh(8))
    np.testing.assert_array_equal(restored["split"], values + 5)
    np.testing.assert_array_equal(restored["whole"], values)
    assert len(jax.tree.leaves(restored)[0].sharding.device_set) == 8
    record_fault(
        "6 checkpoint of 2 processes with 2 devices each", "restored by 1 process on 8, values equal"
    )


def test_one_process_answers_itself():
    assert ask_first(lambda: {"step": (1, 2)}) == {"step": (1, 2)}
    with pytest.raises(DamagedError, match="why"):
        ask_first(lambda: (_ for _ in ()).throw(DamagedError("why")))
