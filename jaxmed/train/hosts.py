"""Several processes that train as one: connecting them, acting once for all, and ending together.

Each process runs the same program on its own devices; `initialize` makes them one JAX run. Where one ends
early the others cannot go on; each then ends within bounded time, saying so:

- A process that is killed takes the connections of CPU collectives with it, and the others see an error at
  once. Otherwise (other devices, a frozen process, a lost network) the coordinator misses its heartbeats, and
  JAX ends the others with signal 6.
- A process that fails, of itself or because of another, leaves at once (`leave`, and any uncaught exception)
  instead of waiting at its end for processes that will never come.
- A process that lives but makes no step, such as one that waits for a file for ever, keeps the others
  waiting: `watchdog.Watchdog` ends them all.
"""

import contextlib
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NoReturn

import jax
from jax.experimental import multihost_utils

_GRACE_SECONDS = 10
"""By how much JAX's own limit, which aborts with a stack trace, comes after ours."""

_DIRECT = "no_grpc_proxy"
"""Environment variable with the hosts that gRPC reaches without a proxy."""


@dataclass(frozen=True)
class Hosts:
    """The processes that train together; without addresses those that the cluster tells of, or one alone."""

    coordinator: str | None = None
    """Address host:port of process 0, where the others find it; SLURM, Open MPI, Kubernetes jobs and TPU pods
    tell it themselves."""

    num_processes: int | None = None
    """Number of processes; 1 runs alone, whatever the cluster says."""

    process_id: int | None = None
    """Number of this process, from 0."""

    connect_seconds: int = 300
    """How long processes wait at the start until all are there."""

    heartbeat_seconds: int = 60
    """How long after the last sign of life of one process the others end."""

    shutdown_seconds: int = 300
    """How long a process that is done waits for the others; more than process 0 works alone at the end."""


def initialize(hosts: Hosts = Hosts()) -> None:
    """Makes this process one of several, or leaves it alone where neither addresses nor a cluster are given.

    To be called before anything uses a device. Nothing is called with one process. With several, SIGTERM
    becomes the preemption notice of `multihost_utils.reached_preemption_sync_point`, and an uncaught
    exception ends the process without waiting for the others. Where not all processes are there in time,
    the process ends with a line on standard error and exit code 1.

    Args:
        hosts: addresses and limits.

    Raises:
        ValueError: if addresses are incomplete, malformed or out of range, or a limit is.
        OSError: if process 0 cannot listen on the coordinator's port.
        RuntimeError: if JAX has used its devices already or was connected before, or the cluster's own
            description of its processes cannot be read.
    """
    _check(hosts)
    given = hosts.coordinator is not None
    is_one_of_several = given or _in_cluster()
    if hosts.num_processes == 1 or not (is_one_of_several or find_spec("libtpu")):
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    arguments = _given_addresses(hosts) if given else {}
    too_late = threading.Timer(hosts.connect_seconds, _end, [_not_connected(hosts)])
    too_late.daemon = True
    too_late.start()
    try:
        _connect(hosts, arguments, or_stay_alone=not is_one_of_several)
    finally:
        too_late.cancel()
    if jax.distributed.is_initialized():
        _leave_on_uncaught_exceptions()


def _check(hosts: Hosts) -> None:
    for name, least in (("connect", 1), ("heartbeat", 2), ("shutdown", 1)):
        value = getattr(hosts, f"{name}_seconds")
        if value < least:
            raise ValueError(f"{name}_seconds is {value}; wanted at least {least}")
    if hosts.num_processes is not None and hosts.num_processes < 1:
        raise ValueError(f"num_processes is {hosts.num_processes}; wanted at least 1")
    addresses = {name: getattr(hosts, name) for name in ("coordinator", "num_processes", "process_id")}
    missing = [name for name, value in addresses.items() if value is None]
    if 0 < len(missing) < 3 and hosts.num_processes != 1:
        raise ValueError(
            f"{' and '.join(missing)} missing; wanted coordinator, num_processes and process_id, or none"
        )
    if hosts.process_id is not None and not 0 <= hosts.process_id < (hosts.num_processes or 1):
        raise ValueError(f"process_id is {hosts.process_id}; wanted 0 to {(hosts.num_processes or 1) - 1}")
    if hosts.coordinator is not None:
        _split(hosts.coordinator)


def _split(coordinator: str) -> tuple[str, int]:
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"coordinator is '{coordinator}'; wanted host:port with a port of 1 to 65535")
    return host.strip("[]"), int(port)


def _in_cluster() -> bool:
    """Whether the environment tells of several processes.

    A task of its own (a job array, a notebook in a pod) is a single process, for which JAX would needlessly
    open a port that a neighbour may have.
    """
    if "SLURM_STEP_NODELIST" in os.environ:
        return os.environ.get("SLURM_NTASKS", "1") != "1"
    if "OMPI_MCA_orte_hnp_uri" in os.environ:
        return os.environ.get("OMPI_COMM_WORLD_SIZE", "1") != "1"
    workers = os.environ.get("TPU_PROCESS_ADDRESSES", os.environ.get("TPU_WORKER_HOSTNAMES"))
    if workers is not None:
        return "," in workers or "MEGASCALE_NUM_SLICES" in os.environ
    return "KUBERNETES_SERVICE_HOST" in os.environ and "JOB_COMPLETION_INDEX" in os.environ


def _given_addresses(hosts: Hosts) -> dict[str, Any]:
    host, port = _split(hosts.coordinator or "")
    if hosts.process_id == 0:
        _check_port(port)
    _bypass_proxy(host)
    return {
        "coordinator_address": hosts.coordinator,
        "num_processes": hosts.num_processes,
        "process_id": hosts.process_id,
        # Otherwise SLURM or Open MPI would still choose one device for this process.
        "cluster_detection_method": "deactivate",
        "coordinator_bind_address": hosts.coordinator if _is_loopback(host) else None,
    }


def _check_port(port: int) -> None:
    """JAX crashes without a word where the port is taken."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=dual).close()
    except OSError as error:
        raise OSError(f"process 0 cannot listen on port {port} of this machine: {error.strerror}") from error


def _bypass_proxy(host: str) -> None:
    """Keeps gRPC from asking a proxy for the coordinator, which it would wait for in vain."""
    if any(name in os.environ for name in ("grpc_proxy", "https_proxy", "http_proxy")):
        others = os.environ.get(_DIRECT, os.environ.get("no_proxy", ""))
        os.environ[_DIRECT] = f"{others},{host}".lstrip(",")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _connect(hosts: Hosts, arguments: dict[str, Any], *, or_stay_alone: bool) -> None:
    try:
        jax.distributed.initialize(
            **arguments,
            initialization_timeout=hosts.connect_seconds + _GRACE_SECONDS,
            heartbeat_timeout_seconds=hosts.heartbeat_seconds,
            shutdown_timeout_seconds=hosts.shutdown_seconds,
        )
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        if "coordinator_address should be defined" in reason:
            # Only the machine's own service tells whether a TPU is part of a pod.
            if or_stay_alone:
                return
            reason = (
                "the environment tells of several processes, but not where they are (on Kubernetes JAX needs "
                "the package kubernetes); wanted: coordinator, num_processes and process_id"
            )
        raise RuntimeError(f"the processes cannot be connected: {reason}") from error


def _not_connected(hosts: Hosts) -> str:
    if hosts.coordinator is None:
        who, where = "this process", "that the cluster names"
    else:
        who, where = f"process {hosts.process_id} of {hosts.num_processes}", hosts.coordinator
    return (
        f"{who} was not connected to the others within {hosts.connect_seconds} s; wanted: process 0 on the "
        f"coordinator {where}, its port open, and every process started"
    )


def _leave_on_uncaught_exceptions() -> None:
    report = sys.excepthook

    def report_and_leave(kind, error, traceback) -> None:
        report(kind, error, traceback)
        leave(1)

    sys.excepthook = report_and_leave


def leave(exit_code: int) -> NoReturn:
    """Ends the program; after a failure of one process of several without waiting for the others.

    Args:
        exit_code: 0 where all went well.

    Raises:
        SystemExit: with one process, or with exit code 0, at which JAX waits until all processes are done.
    """
    if exit_code and jax.distributed.is_initialized():
        # Its number is not asked for: JAX may still have to wait for the others to know it.
        _end(
            f"this process ends with exit code {exit_code} and so will the others; the first to end says why",
            exit_code,
        )
    sys.exit(exit_code)


def _end(message: str, exit_code: int = 1) -> NoReturn:
    """Ends this process whatever its other threads do, and without JAX's wait for the other processes."""
    print(f"error: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def is_main_process() -> bool:
    """Whether this is the process that writes what is written once: files, tables, messages."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Waits until every process is at the barrier of this name; nothing with one process."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


@contextlib.contextmanager
def main_first(name: str) -> Iterator[None]:
    """Lets process 0 carry out the block before the others do, as one that fills a cache on a shared disk.

    Args:
        name: of what is done, the same in all processes.
    """
    if not is_main_process():
        barrier(name)
    yield
    if is_main_process():
        barrier(name)
