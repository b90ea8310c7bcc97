"""Real processes on the loopback, training through `fit`."""

import json

import numpy as np
import pytest

from data_pipelines.index_plan import IndexPlan

WORKER = "tests.experiments.launch.worker"
PLAN = IndexPlan(num_examples=20, batch_size=12, seed=3)
STEPS = 60


def read_steps(folder):
    """By step: the loss in each process, the indices of the whole batch, and the number of processes."""
    parts = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in map(json.loads, file.read_text().splitlines()):
            parts.setdefault(line["step"], []).append(line)
    losses = {step: [line["loss"] for line in lines] for step, lines in parts.items()}
    indices = {step: [i for line in lines for i in line["indices"]] for step, lines in parts.items()}
    return losses, indices, {step: lines[0]["processes"] for step, lines in parts.items()}


def carry_out(launch, folder, processes, *arguments):
    """Trains up to its end as so many processes; the lines that say where each ended."""
    folder.mkdir(exist_ok=True)
    options = ["--processes", processes, "--devices", 1]
    finished = launch(*options, module=WORKER, arguments=[folder, "--steps", STEPS, *arguments])
    assert finished.code == 0, "\n".join(finished.lines)
    return {line for line in finished.lines if "at step" in line}


@pytest.fixture(scope="module")
def straight(launch, tmp_path_factory):
    """What two processes see that nothing disturbs."""
    folder = tmp_path_factory.mktemp("straight")
    carry_out(launch, folder, 2)
    return read_steps(folder)


@pytest.mark.parametrize(
    "legs",
    [
        # That one process restores what two have saved: tests/train/test_checkpoint_processes.py.
        pytest.param({3: 1, 9: 3}, id="more"),
        pytest.param({3: 1, 6: 3, 9: 2}, id="more, then fewer", marks=pytest.mark.exhaustive),
    ],
)
def test_losses_and_data_do_not_depend_on_the_number_of_processes(launch, straight, tmp_path, legs):
    """Two processes to the end; and others, so many up to each step, going on from the checkpoint."""
    for steps, count in legs.items():
        carry_out(launch, tmp_path, count, "--steps", steps)
    wanted = straight[0]
    losses, indices, processes = read_steps(tmp_path)
    assert [processes[step] for step in range(9)] == [
        next(count for end, count in legs.items() if step < end) for step in range(9)
    ]
    assert all(indices[step] == PLAN.indices(step).tolist() == straight[1][step] for step in range(9))
    for step in range(9):
        assert len(losses[step]) == processes[step]
        np.testing.assert_allclose(losses[step], wanted[step][0], rtol=1e-6)
    assert len({wanted[step][0] for step in range(9)}) == 9


@pytest.mark.faults
def test_signal_to_one_process_stops_all_after_the_same_step(launch, straight, tmp_path, record_fault):
    """The steps are slow until the signal is heard, which takes JAX about a second."""
    fault = ("--fault", "preempted", "--faulty-process", 1, "--step-seconds", 0.2)
    stopped = carry_out(launch, tmp_path, 2, *fault)
    (step,) = {int(line.split()[-1]) for line in stopped}
    assert len(stopped) == 2
    assert 3 < step < STEPS
    carry_out(launch, tmp_path, 2)
    assert read_steps(tmp_path) == straight
    record_fault(
        "1 SIGTERM to one of two processes after step 3",
        f"both saved step {step} and ended with code 0; resumed: the same losses to the bit",
    )


LEAVES = "error: this process ends with exit code 1"
LIMIT_SECONDS = 30
"""Half of the heartbeat's default, so that nothing here is its merit unless a test sets it."""


@pytest.mark.faults
@pytest.mark.parametrize(
    ("fault", "processes", "options", "message", "outcome"),
    [
        ("killed", 2, [], LEAVES, "the other loses its connection and leaves with code 1"),
        pytest.param(
            *("killed", 3, [], LEAVES, "the others lose its connection and leave with code 1"),
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            *(
                "failing",
                2,
                [],
                LEAVES,
                "it leaves with its traceback, the other loses the connection and leaves",
            ),
            marks=pytest.mark.exhaustive,
        ),
        (
            "frozen",
            2,
            ["--heartbeat-seconds", 3],
            "stopped sending heartbeats",
            "3 s later JAX ends the other",
        ),
        pytest.param(
            *("stalled", 2, ["--stall-seconds", 3], "error: "),
            "a watchdog of 3 s says where it stands, both leave",
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_others_end_when_a_process_is(
    launch, tmp_path, record_fault, fault, processes, options, message, outcome
):
    finished = launch(
        *(
            "--processes",
            processes,
            "--devices",
            1,
            "--grace-seconds",
            1 if fault == "frozen" else LIMIT_SECONDS,
        ),
        module=WORKER,
        arguments=[tmp_path, "--fault", fault, "--faulty-process", 1, *options],
    )
    said = "\n".join(finished.lines)
    assert f"now {fault}" in finished.of(1), said
    for process in set(range(processes)) - {1}:
        assert any(message in line for line in finished.of(process)), said
    # The launcher had to end nobody, but what is frozen nothing else can end.
    helped = {line[:3] for line in finished.lines if "it gets SIG" in line}
    assert helped == ({"[1]"} if fault == "frozen" else set()), said
    assert finished.code != 0
    assert finished.seconds_after_fault < LIMIT_SECONDS
    record_fault(
        f"10 one of {processes} processes {fault} in training",
        f"{outcome}; all ended {finished.seconds_after_fault:.1f} s later, exit code {finished.code}",
    )
