import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from jaxmed.train import hosts
from jaxmed.train.hosts import Hosts

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("hosts_worker.py")
CLUSTER_VARIABLES = (
    "SLURM_",
    "OMPI_",
    "KUBERNETES_",
    "JOB_COMPLETION",
    "TPU_",
    "MEGASCALE_",
    "JAX_COORDINATOR",
)


@pytest.fixture
def no_cluster(monkeypatch):
    for name in list(os.environ):
        if name.startswith(CLUSTER_VARIABLES):
            monkeypatch.delenv(name)


@pytest.fixture
def connected(monkeypatch, no_cluster):
    """What `jax.distributed.initialize` is called with."""
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda **arguments: calls.append(arguments))
    return calls


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def meet(tmp_path):
    """`meet(what, arguments and variables of each process)` gives each exit code and output."""
    running = []

    def run(what, *processes):
        for arguments, variables in processes:
            command = [sys.executable, str(WORKER), str(tmp_path), what, *map(str, arguments)]
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": "", **variables}
            running.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,
                )
            )
        outputs = [process.communicate(timeout=120)[0] for process in running]
        return list(zip([process.returncode for process in running], outputs, strict=True))

    yield run
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Hosts("here:1234"), "num_processes and process_id missing; wanted coordinator,"),
        (Hosts("here:1234", 2), "process_id missing"),
        (Hosts(process_id=0), "coordinator and num_processes missing"),
        (Hosts("here:1234", 2, 2), "process_id is 2; wanted 0 to 1"),
        (Hosts("here:1234", 2, -1), "process_id is -1; wanted 0 to 1"),
        (Hosts("here:1234", 0, 0), "num_processes is 0; wanted at least 1"),
        (Hosts("here", 2, 0), "coordinator is 'here'; wanted host:port"),
        (Hosts(":1234", 2, 0), "coordinator is ':1234'; wanted host:port"),
        (Hosts("here:port", 2, 0), "coordinator is 'here:port'; wanted host:port"),
        (Hosts("here:65536", 2, 0), "with a port of 1 to 65535"),
        (Hosts(heartbeat_seconds=0), "heartbeat_seconds is 0; wanted at least 2"),
        (Hosts(connect_seconds=0), "connect_seconds is 0; wanted at least 1"),
    ],
)
def test_wrong_addresses_and_limits_are_refused(connected, given, message):
    with pytest.raises(ValueError, match=message):
        hosts.initialize(given)
    assert not connected


SLURM = {"SLURM_JOB_ID": "9", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_STEP_NODELIST": "127.0.0.1"}


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        (Hosts(), {}),
        (Hosts(num_processes=1), SLURM | {"SLURM_NTASKS": "4"}),
        (Hosts("127.0.0.1:1234", 1, 0), {}),
        (Hosts(), SLURM | {"SLURM_NTASKS": "1"}),
        (Hosts(), {"SLURM_JOB_ID": "9", "SLURM_NTASKS": "4"}),
        (Hosts(), {"OMPI_MCA_orte_hnp_uri": "1.0;tcp://127.0.0.1:1", "OMPI_COMM_WORLD_SIZE": "1"}),
        (Hosts(), {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}),
        (Hosts(), {"TPU_WORKER_HOSTNAMES": "localhost"}),
    ],
)
def test_process_of_its_own_connects_to_nothing(connected, monkeypatch, given, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    hosts.initialize(given)
    assert not connected


@pytest.mark.parametrize(
    "variables",
    [
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"},
        {"TPU_WORKER_HOSTNAMES": "a,b", "TPU_WORKER_ID": "0"},
        {"TPU_PROCESS_ADDRESSES": "a", "MEGASCALE_NUM_SLICES": "2"},
    ],
)
def test_cluster_is_left_to_jax(connected, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    hosts.initialize(Hosts(connect_seconds=5, heartbeat_seconds=6, shutdown_seconds=7))
    (call,) = connected
    assert (call["heartbeat_timeout_seconds"], call["shutdown_timeout_seconds"]) == (6, 7)
    assert "coordinator_address" not in call


def nothing_found(**arguments):
    raise ValueError("coordinator_address should be defined.")


def test_several_processes_without_addresses_are_refused(monkeypatch, no_cluster):
    """Each of them would otherwise train alone, in the same folder."""
    monkeypatch.setattr(jax.distributed, "initialize", nothing_found)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")
    with pytest.raises(RuntimeError, match="but not where they are"):
        hosts.initialize(Hosts())


def test_tpu_machine_that_is_in_no_pod_stays_alone(monkeypatch, no_cluster):
    monkeypatch.setattr(jax.distributed, "initialize", nothing_found)
    monkeypatch.setattr(hosts, "find_spec", lambda name: name == "libtpu")
    hosts.initialize(Hosts())


def test_loopback_coordinator_is_not_open_to_the_network(connected, free_port):
    hosts.initialize(Hosts(f"127.0.0.1:{free_port}", 2, 0))
    hosts.initialize(Hosts("10.0.0.1:1234", 2, 1))
    assert [call["coordinator_bind_address"] for call in connected] == [f"127.0.0.1:{free_port}", None]


def test_proxy_is_not_asked_for_the_coordinator(connected, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    direct = "no_grpc_proxy"
    monkeypatch.setenv(direct, "elsewhere")
    hosts.initialize(Hosts("10.0.0.1:1234", 2, 1))
    assert os.environ[direct] == "elsewhere,10.0.0.1"


def test_taken_port_is_named(connected):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            OSError, match=f"process 0 cannot listen on port {port} .*: Address already in use"
        ):
            hosts.initialize(Hosts(f"127.0.0.1:{port}", 2, 0))
    assert not connected


def test_devices_in_use_already_are_an_error_of_one_line(no_cluster, free_port):
    jax.devices()
    with pytest.raises(RuntimeError, match="must be called before") as caught:
        hosts.initialize(Hosts(f"127.0.0.1:{free_port}", 2, 0))
    assert "\n" not in str(caught.value)


def test_one_process_does_everything_and_waits_for_nobody():
    hosts.barrier("nobody else")
    with hosts.main_first("alone"):
        assert hosts.is_main_process()
    for code in (0, 3):
        with pytest.raises(SystemExit) as left:
            hosts.leave(code)
        assert left.value.code == code


def open_mpi(port):
    return {"OMPI_MCA_orte_hnp_uri": f"1.0;tcp://127.0.0.1:{port}", "OMPI_COMM_WORLD_SIZE": "2"}


@pytest.mark.parametrize("cluster", ["slurm", pytest.param("open mpi", marks=pytest.mark.exhaustive)])
def test_processes_find_each_other_through_the_cluster(no_cluster, meet, free_port, cluster):
    processes = []
    for number in range(2):
        port = {"JAX_COORDINATOR_PORT": str(free_port)}
        slurm = (
            SLURM | port | {"SLURM_NTASKS": "2", "SLURM_PROCID": f"{number}", "SLURM_LOCALID": f"{number}"}
        )
        mpi = open_mpi(free_port) | port
        mpi |= {"OMPI_COMM_WORLD_RANK": f"{number}", "OMPI_COMM_WORLD_LOCAL_RANK": f"{number}"}
        processes.append(((), slurm if cluster == "slurm" else mpi))
    for number, (code, output) in enumerate(meet("meets", *processes)):
        assert code == 0, output
        assert f"process {number} of 2 reads once" in output


@pytest.mark.faults
def test_coordinator_that_does_not_answer(no_cluster, meet, free_port, record_fault):
    begun = time.monotonic()
    ((code, output),) = meet("alone", ((f"127.0.0.1:{free_port}", 2, 1), {}))
    line = output.strip().splitlines()[-1]
    assert code == 1
    assert line.startswith(
        "error: process 1 of 2 was not connected to the others within 2 s; wanted: process 0"
    )
    assert time.monotonic() - begun < 60
    record_fault("10 coordinator out of reach", f"exit code {code} after the 2 s allowed: {line[:60]}...")


@pytest.mark.faults
def test_process_that_leaves_before_the_first_step(no_cluster, meet, free_port, record_fault):
    begun = time.monotonic()
    waiting, left = meet("leaves", *(((f"127.0.0.1:{free_port}", 2, number), {}) for number in range(2)))
    seconds = time.monotonic() - begun
    assert left[0] == 2
    assert "error: this process ends with exit code 2 and so will the others" in left[1]
    assert waiting[0] == -signal.SIGABRT
    assert "stopped sending heartbeats" in waiting[1]
    assert seconds < 60
    record_fault(
        "10 one of 2 processes leaves before the first step",
        f"JAX ends the other with signal {-waiting[0]} for missed heartbeats (3 s), {seconds:.0f} s in all",
    )
