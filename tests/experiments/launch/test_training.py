"""Real processes on the loopback, training through `fit`."""

import json

import numpy as np
import pytest

from data_pipelines.index_plan import IndexPlan

WORKER = "tests.experiments.launch.worker"
PLAN = IndexPlan(num_examples=20, batch_size=12, seed=3)


def read_steps(folder):
    """By step: the loss in each process, the indices of the whole batch, and the number of processes."""
    parts = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in map(json.loads, file.read_text().splitlines()):
            parts.setdefault(line["step"], []).append(line)
    losses = {step: [line["loss"] for line in lines] for step, lines in parts.items()}
    indices = {step: [i for line in lines for i in line["indices"]] for step, lines in parts.items()}
    return losses, indices, {step: lines[0]["processes"] for step, lines in parts.items()}


def test_losses_and_data_do_not_depend_on_the_number_of_processes(launch, tmp_path):
    """One process for nine steps; and two, then one, then four, each going on from the checkpoint."""
    straight, handed_on = tmp_path / "straight", tmp_path / "handed-on"
    for folder, stages in ((straight, [(1, 9)]), (handed_on, [(2, 3), (1, 6), (4, 9)])):
        folder.mkdir()
        for processes, steps in stages:
            options = ["--processes", processes, "--devices", 1]
            finished = launch(*options, module=WORKER, arguments=[folder, "--steps", steps])
            assert finished.code == 0, "\n".join(finished.lines)
    wanted = read_steps(straight)[0]
    losses, indices, processes = read_steps(handed_on)
    assert [processes[step] for step in range(9)] == [2] * 3 + [1] * 3 + [4] * 3
    assert all(indices[step] == PLAN.indices(step).tolist() for step in range(9))
    for step in range(9):
        assert len(losses[step]) == processes[step]
        np.testing.assert_allclose(losses[step], wanted[step][0], rtol=1e-6)
    assert len({wanted[step][0] for step in range(9)}) == 9


@pytest.mark.faults
def test_signal_to_one_process_stops_all_after_the_same_step(launch, tmp_path, record_fault):
    """The steps are slow until the signal is heard, which takes JAX about a second."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    options, steps = ["--processes", 2, "--devices", 1], 60
    runs = [
        (straight, []),
        (stopped, ["--fault", "preempted", "--faulty-process", 1, "--step-seconds", 0.2]),
        (stopped, []),
    ]
    reached = []
    for folder, arguments in runs:
        folder.mkdir(exist_ok=True)
        finished = launch(*options, module=WORKER, arguments=[folder, "--steps", steps, *arguments])
        assert finished.code == 0, "\n".join(finished.lines)
        reached.append({line for line in finished.lines if "at step" in line})
    (step,) = {int(line.split()[-1]) for line in reached[1]}
    assert len(reached[1]) == 2
    assert 3 < step < steps
    assert read_steps(stopped) == read_steps(straight)
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
        ("killed", 3, [], LEAVES, "the others lose its connection and leave with code 1"),
        ("failing", 2, [], LEAVES, "it leaves with its traceback, the other loses the connection and leaves"),
        (
            "frozen",
            2,
            ["--heartbeat-seconds", 3],
            "stopped sending heartbeats",
            "3 s later JAX ends the other",
        ),
        (
            "stalled",
            2,
            ["--stall-seconds", 3],
            "error: ",
            "a watchdog of 3 s says where it stands, both leave",
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
