import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from data_pipelines import pipeline
from data_pipelines.index_plan import IndexPlan

EXECUTORS = ["threads", "tf"]
PLAN = IndexPlan(num_examples=7, batch_size=6, seed=11)


def take(batches, number):
    return [next(batches) for _ in range(number)]


class BrokenFileError(Exception):
    pass


@pytest.mark.faults
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("bad_step", [0, 2])
def test_a_failing_loader_is_named_with_its_cause(executor, bad_step, record_fault):
    # The batch of 2 of 7 examples: no example comes twice in the first three steps.
    plan = IndexPlan(num_examples=7, batch_size=2, seed=0)
    bad = plan.index(bad_step, 1)

    def load(index, generator):
        if index == bad:
            raise BrokenFileError(f"case{index}.nii.gz:\ntruncated")
        return {"image": np.zeros(3)}

    batches = pipeline.make_batches(load, plan, executor=executor)
    take(batches, bad_step)
    with pytest.raises(pipeline.LoadError) as caught:
        next(batches)
    assert (
        str(caught.value) == f"example {bad} (step {bad_step}): BrokenFileError: case{bad}.nii.gz: truncated"
    )
    assert (caught.value.index, caught.value.step) == (bad, bad_step)
    assert isinstance(caught.value.__cause__, BrokenFileError)
    with pytest.raises(StopIteration):
        next(batches)
    record_fault(f"9 exception in a loader's thread ({executor}, step {bad_step})", str(caught.value))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_of_several_failures_the_earliest_is_reported(executor):
    plan = IndexPlan(num_examples=50, batch_size=10, seed=0)
    early, late = plan.index(1, 3), plan.index(1, 4)

    def load(index, generator):
        time.sleep(0.05 if index == early else 0)
        if index in (early, late):
            raise StopIteration
        return {"image": np.zeros(3)}

    batches = pipeline.make_batches(load, plan, num_threads=4, executor=executor)
    next(batches)
    with pytest.raises(pipeline.LoadError, match=rf"example {early} \(step 1\): StopIteration"):
        next(batches)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_exit_in_a_loader_reaches_the_caller(executor):
    def load(index, generator):
        if index == PLAN.index(1, 0):
            raise SystemExit(3)
        return {"image": np.zeros(3)}

    plan = IndexPlan(num_examples=7, batch_size=1, seed=11)
    batches = pipeline.make_batches(load, plan, executor=executor)
    with pytest.raises(SystemExit):
        take(batches, 7)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"image": np.zeros((2, 3), np.int16)},
            r"'image' is int16 \(2, 3\); example {first} gave int16 \(2, 2\)",
        ),
        ({"image": np.zeros((2, 2))}, r"'image' is float64 \(2, 2\); example {first} gave int16 \(2, 2\)"),
        ({"scan": np.zeros((2, 2))}, r"arrays \['scan'\]; example {first} gave \['image'\]"),
        ({}, "the loader gave no arrays"),
        ({"image": np.array("text")}, "'image' is <U4; wanted numbers"),
    ],
)
def test_an_example_unlike_the_first_is_named(executor, other, message):
    plan = IndexPlan(num_examples=9, batch_size=2, seed=0)
    odd = plan.index(1, 0)
    batches = pipeline.make_batches(
        lambda index, generator: other if index == odd else {"image": np.zeros((2, 2), np.int16)},
        plan,
        executor=executor,
    )
    next(batches)
    pattern = rf"^example {odd} \(step 1\): " + message.format(first=plan.index(0, 0))
    with pytest.raises(pipeline.LoadError, match=pattern):
        next(batches)


@pytest.mark.parametrize("dtype", ["O", "U3", "M8[s]", "V4", "g"])
def test_what_is_no_number_is_refused_in_the_first_example(dtype):
    with pytest.raises(
        pipeline.LoadError, match=rf"example {PLAN.index(0, 0)} \(step 0\): 'image' is .*; wanted"
    ):
        next(pipeline.make_batches(lambda index, generator: {"image": np.zeros(2, dtype)}, PLAN))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("end", ["close", "drop", "error"])
def test_ending_early_stops_the_loading(executor, end):
    calls = []

    def load(index, generator):
        calls.append(index)
        time.sleep(0.005)
        if end == "error" and len(calls) > 20:
            raise BrokenFileError
        return {"image": np.zeros(100)}

    num_threads = threading.active_count()
    batches = pipeline.make_batches(load, PLAN, num_threads=2, executor=executor)
    if end == "error":
        with pytest.raises(pipeline.LoadError):
            take(batches, 100)
    else:
        take(batches, 2)
    if end == "close":
        batches.close()
    elif end == "drop":
        del batches
    deadline = time.monotonic() + 5
    while threading.active_count() > num_threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= num_threads
    num_calls = len(calls)
    time.sleep(0.1)
    assert len(calls) == num_calls


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_error_in_a_thread_does_not_wait_for_a_hanging_neighbour(executor):
    plan = IndexPlan(num_examples=7, batch_size=3, seed=0)
    bad, hanging = plan.index(1, 0), plan.index(1, 1)
    release = threading.Event()

    def load(index, generator):
        if index == hanging:
            release.wait(20)
        if index == bad:
            raise BrokenFileError
        return {"image": np.zeros(4)}

    batches = pipeline.make_batches(load, plan, num_threads=2, executor=executor)
    next(batches)
    start = time.monotonic()
    with pytest.raises(pipeline.LoadError, match=f"example {bad} "):
        next(batches)
    assert time.monotonic() - start < 10
    release.set()


@pytest.mark.parametrize("executor", ["threads", pytest.param("tf", marks=pytest.mark.exhaustive)])
def test_a_process_ends_with_the_iterator_open(executor):
    program = f"""
import time
import numpy as np
from data_pipelines import index_plan, pipeline

def load(index, generator):
    time.sleep(0.03)  # so that loads are under way when the program ends
    return {{"image": np.full((64, 64), index)}}

plan = index_plan.IndexPlan(9, 4, 0)
batches = pipeline.make_batches(load, plan, num_threads=2, executor="{executor}")
for _ in range(3):
    batch = next(batches)
print(batch["image"].shape)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "(4, 64, 64)"), done.stderr


HANGING = """
import sys, threading, time
import numpy as np
from data_pipelines import index_plan, pipeline

plan = index_plan.IndexPlan(9, 3, 0)
failing, hanging = plan.index(1, 1), plan.index(1, 2)

def load(index, generator):
    if index == hanging:
        time.sleep(3600)
    if index == failing and sys.argv[2] == "loader":
        raise OSError(f"case{index}.nii.gz: lost")
    return {"image": np.zeros(4)}

batches = pipeline.make_batches(load, plan, num_threads=3, executor=sys.argv[1])
next(batches)
print("first batch", flush=True)
if sys.argv[2] == "training":
    time.sleep(0.5)
    raise RuntimeError("the training failed")
next(batches)
"""


@pytest.mark.faults
@pytest.mark.parametrize(
    ("executor", "failure"),
    [("threads", "loader"), pytest.param("tf", "loader", marks=pytest.mark.exhaustive), ("tf", "training")],
)
def test_a_process_that_fails_ends_although_a_loader_hangs(executor, failure, record_fault):
    command = [sys.executable, "-c", HANGING, executor, failure]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "first batch\n"
        begun = time.monotonic()
        _, said = process.communicate(timeout=120)
    seconds = time.monotonic() - begun
    index = IndexPlan(9, 3, 0).index(1, 1)
    expected = {
        "loader": f"data_pipelines.example_stream.LoadError: example {index} (step 1): "
        f"OSError: case{index}.nii.gz: lost",
        "training": "RuntimeError: the training failed",
    }[failure]
    assert process.returncode == 1, said
    assert said.splitlines()[-1] == expected
    assert seconds < 60
    what = "one example fails, the next hangs" if failure == "loader" else "training fails while a load hangs"
    record_fault(f"9 {what} ({executor})", f"'{said.splitlines()[-1]}', exit code 1 in bounded time")
