"""Several processes on this machine: python -m experiments.launch.local --processes 2 -- train ..."""

import argparse
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import FrameType

_LOOPBACK = "127.0.0.1"
_SECONDS_BEFORE_KILL = 10
"""At most, between asking a process to end and killing it."""


def main(arguments: Sequence[str]) -> int:
    """Starts the processes, shows their output and waits for them.

    Returns:
        0, or the exit code of the first process that failed (128 + n for signal n, as shells give it).
    """
    options, rest = _parse(arguments)
    coordinator = f"{_LOOPBACK}:{_free_port()}"
    environment = _environment(options.devices)
    group = _Group()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, group.forward)
    try:
        for process_id in range(options.processes):
            addresses = {
                "coordinator": coordinator,
                "num-processes": str(options.processes),
                "process-id": str(process_id),
            }
            group.start([sys.executable, "-m", options.module, *rest, *_as_options(addresses)], environment)
        return group.wait(options.grace_seconds)
    finally:
        group.kill()


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.launch.local",
        usage="%(prog)s --processes N [options] -- <arguments of python -m experiments>",
        description="Runs one command as several processes that train together on this machine.",
    )
    parser.add_argument("--processes", type=_positive, required=True, help="number of processes")
    parser.add_argument("--devices", type=_positive, help="CPU devices that each process pretends to have")
    parser.add_argument("--module", default="experiments", help="what to run instead of experiments")
    parser.add_argument(
        "--grace-seconds",
        type=_positive,
        default=90,
        help="how long the others may take to end of themselves when one has failed",
    )
    arguments = list(arguments)
    split = arguments.index("--") if "--" in arguments else len(arguments)
    return parser.parse_args(arguments[:split]), arguments[split + 1 :]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def _free_port() -> int:
    with socket.create_server((_LOOPBACK, 0)) as server:
        return server.getsockname()[1]


def _environment(num_devices: int | None) -> dict[str, str]:
    """This process's environment, with lines that are not held back, and CPU devices if asked for."""
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    if num_devices is not None:
        flags = environment.get("XLA_FLAGS", "")
        environment["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={num_devices}".strip()
        environment["JAX_PLATFORMS"] = "cpu"
    return environment


def _as_options(addresses: Mapping[str, str]) -> list[str]:
    return [word for name, value in addresses.items() for word in (f"--hosts.{name}", value)]


class _Group:
    """Processes that start and end together."""

    def __init__(self):
        self._processes: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []
        self._endings: queue.Queue[tuple[int, int]] = queue.Queue()
        self._output = threading.Lock()

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts a process in a group of its own: Ctrl-C reaches it only once, through `forward`."""
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        number = len(self._processes)
        self._processes.append(process)
        self._readers.append(threading.Thread(target=self._show, args=(number,), daemon=True))
        self._readers[-1].start()
        threading.Thread(target=self._report_end, args=(number,), daemon=True).start()

    def _show(self, number: int) -> None:
        for line in self._processes[number].stdout or ():
            self._print(number, line.rstrip(b"\r\n"))

    def _print(self, number: int, line: bytes) -> None:
        with self._output:
            sys.stdout.buffer.write(b"[%d] %s\n" % (number, line))
            sys.stdout.buffer.flush()

    def _report_end(self, number: int) -> None:
        self._endings.put((number, self._processes[number].wait()))

    def forward(self, number: int, frame: FrameType | None) -> None:
        """Sends a signal that this process received to all of them."""
        for process in self._processes:
            process.send_signal(number)

    def wait(self, grace_seconds: float) -> int:
        """Waits for all; once one has failed, for `grace_seconds` before it ends the others."""
        first_failure, left = 0, len(self._processes)
        deadlines: list[tuple[float, int]] = []
        while left:
            timeout = max(deadlines[0][0] - time.monotonic(), 0) if deadlines else None
            try:
                number, code = self._endings.get(timeout=timeout)
            except queue.Empty:
                self._end(deadlines.pop(0)[1])
                continue
            left -= 1
            # What a process said last comes before what is said of its end.
            self._readers[number].join(timeout=1)
            if code and not first_failure:
                first_failure = code if code > 0 else 128 - code
                self._print(number, b"ended first, with exit code %d" % first_failure)
                last = time.monotonic() + grace_seconds
                kill = last + min(grace_seconds, _SECONDS_BEFORE_KILL)
                deadlines = [(last, signal.SIGTERM), (kill, signal.SIGKILL)]
        return first_failure

    def _end(self, number: int) -> None:
        for index, process in enumerate(self._processes):
            if process.poll() is None:
                self._print(index, b"still runs; it gets %s" % signal.Signals(number).name.encode())
                process.send_signal(number)

    def kill(self) -> None:
        """Kills what is left, with the processes that it may have started."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
