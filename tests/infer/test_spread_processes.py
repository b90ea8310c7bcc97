"""Two processes with two devices each, as a run over hosts: every one gets what one device alone computes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from jaxmed.infer.slicewise import make_slicewise
from jaxmed.infer.sliding_window import make_sliding_window

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
import jax
import numpy as np
index, address, file = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.distributed.initialize(address, num_processes=2, process_id=index)
from jaxmed.infer.slicewise import make_slicewise
from jaxmed.infer.sliding_window import make_sliding_window
from jaxmed.train import mesh

def function(variables, examples):
    return variables["factor"] * examples

devices = mesh.make_mesh(2, 2)
assert devices.is_multi_process
variables = jax.device_put({"factor": np.float32(3)}, mesh.replicated(devices))
volume = np.arange(11 * 7 * 5, dtype=np.float32).reshape(11, 7, 5)
slices = make_slicewise(function, variables, 3)(volume)
windows = make_sliding_window(function, variables, (4, 4, 4), 3)(volume)
np.savez(file, slices=slices, windows=windows)
"""


def free_address():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return f"localhost:{probe.getsockname()[1]}"


def test_every_process_receives_the_result_of_one_device(tmp_path):
    address, flags = free_address(), "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}
    files = [tmp_path / f"process{index}.npz" for index in range(2)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(index), address, str(file)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, file in enumerate(files)
    ]
    try:
        errors = [worker.communicate(timeout=120)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert all(worker.returncode == 0 for worker in workers), errors

    def function(variables, examples):
        return variables["factor"] * examples

    variables = {"factor": np.float32(3)}
    volume = np.arange(11 * 7 * 5, dtype=np.float32).reshape(11, 7, 5)
    slices = make_slicewise(function, variables, 3)(volume)
    windows = make_sliding_window(function, variables, (4, 4, 4), 3)(volume)
    for file in files:
        with np.load(file) as found:
            np.testing.assert_array_equal(found["slices"], slices)
            np.testing.assert_array_equal(found["windows"], windows)
