import signal
import time

import pytest

from experiments.launch import local

ECHO = "tests.experiments.launch.echo"


def test_processes_get_addresses_and_devices_and_their_lines_are_marked(launch):
    finished = launch("--processes", 2, "--devices", 3, module=ECHO, arguments=["ends", 0, 0])
    assert finished.code == 0
    addresses = set()
    for process in range(2):
        said, environment, unfinished = finished.of(process)
        *before, address, _, count, _, number = said.split()
        assert before == ["arguments", "ends", "0", "0", "--hosts.coordinator"]
        assert (count, number) == ("2", str(process))
        addresses.add(address)
        assert environment.startswith("environment cpu ")
        assert environment.endswith("--xla_force_host_platform_device_count=3")
        assert unfinished == "no end of line"
    (address,) = addresses
    assert address.startswith("127.0.0.1:")


@pytest.mark.parametrize(("codes", "first"), [((0, 4, 5), 4), ((3, 0, 5), 3), ((0, 0, 0), 0)])
def test_exit_code_is_that_of_the_first_that_failed(launch, codes, first):
    assert launch("--processes", 3, module=ECHO, arguments=["ends", *codes]).code == first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_go_on_to_every_process(started, number):
    with started("--processes", 2, module=ECHO, arguments=["obeys"]) as launcher:
        lines = []
        while sum("environment" in line for line in lines) < 2:
            lines.append(launcher.stdout.readline())
        launcher.send_signal(number)
        rest = launcher.stdout.read()
        assert launcher.wait(timeout=60) == 0
    assert all(f"heard {number.name}" in rest.split(f"[{process}] ", 1)[1] for process in range(2)), rest


@pytest.mark.faults
def test_process_that_does_not_end_by_itself_is_ended(launch, record_fault):
    begun = time.monotonic()
    finished = launch("--processes", 2, "--grace-seconds", 1, module=ECHO, arguments=["one-fails"])
    seconds = time.monotonic() - begun
    assert finished.code == 7
    assert finished.of(1)[-1] == "ended first, with exit code 7"
    survivor = finished.of(0)
    assert survivor.index("still runs; it gets SIGTERM") < survivor.index("heard SIGTERM")
    assert "still runs; it gets SIGKILL" in survivor
    assert seconds < 30
    record_fault(
        "10 one local process fails, the other ignores SIGTERM",
        f"terminated, then killed within {seconds:.0f} s with --grace-seconds 1, exit code {finished.code}",
    )


@pytest.mark.parametrize(
    "arguments", [["--processes", "0"], ["--processes", "two"], [], ["--processes", "2", "--devices", "-1"]]
)
def test_impossible_numbers_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        local.main([*arguments, "--", "train"])
    assert stopped.value.code == 2
    assert "error: " in capsys.readouterr().err
