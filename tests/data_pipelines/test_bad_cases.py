"""Training examples whose files cannot be read: named, counted, replaced in the same way everywhere."""

import errno
import itertools
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines import pipeline
from data_pipelines.index_plan import IndexPlan
from data_pipelines.readers.errors import ReadError

EXECUTORS = ["threads", "tf"]
NUM_EXAMPLES = 10
PLAN = IndexPlan(NUM_EXAMPLES, batch_size=4, seed=3)


def make_load(bad, error=lambda index: ReadError(f"case{index}.nii.gz", "damaged data", "an intact file")):
    def load(index, generator):
        if index in bad:
            raise error(index)
        return {"index": np.array(index), "draw": generator.integers(2**62)}

    return load


def take(bad, number=10, **options):
    options = {"executor": "threads", "max_bad_cases": len(bad), **options}
    batches = pipeline.make_batches(make_load(bad), PLAN, num_steps=number, **options)
    return [{name: array.tolist() for name, array in batch.items()} for batch in batches]


def next_good(index, bad):
    while index in bad:
        index = (index + 1) % NUM_EXAMPLES
    return index


@given(
    bad=st.sets(st.integers(0, NUM_EXAMPLES - 1), max_size=NUM_EXAMPLES - 1),
    first_step=st.integers(0, 9),
    num_threads=st.integers(1, 4),
    num_hosts=st.sampled_from([1, 2, 4]),
)
def test_replacements_depend_on_the_files_alone(bad, first_step, num_threads, num_hosts):
    hosts = [
        take(
            bad,
            number=10 - first_step,
            first_step=first_step,
            num_threads=num_threads,
            process_index=host,
            process_count=num_hosts,
        )
        for host in range(num_hosts)
    ]
    for number, step in enumerate(range(first_step, 10)):
        found = [index for host in hosts for index in host[number]["index"]]
        assert found == [next_good(index, bad) for index in PLAN.indices(step)]
        # The random draws belong to the place, whatever example stands there.
        draws = [draw for host in hosts for draw in host[number]["draw"]]
        assert draws == [PLAN.generator(step, position).integers(2**62) for position in range(4)]


@pytest.mark.faults
@pytest.mark.parametrize("executor", EXECUTORS)
def test_bad_cases_are_named_once_and_counted(executor, caplog, record_fault):
    bad = {2, 6}
    batches = take(bad, executor=executor)
    messages = [record.message for record in caplog.records]
    assert [batch["index"] for batch in batches] == [
        [next_good(index, bad) for index in PLAN.indices(step)] for step in range(10)
    ]
    met = dict.fromkeys(int(index) for step in range(10) for index in PLAN.indices(step) if index in bad)
    cause = "found damaged data; wanted an intact file"
    assert messages[:-1] == [
        f"example {index} is left out ({number} of at most 2): case{index}.nii.gz: {cause}"
        for number, index in enumerate(met, 1)
    ]
    names = ", ".join(map(str, met))
    assert messages[-1] == f"2 examples could not be read and were replaced by others: {names}"
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    record_fault(
        f"8 two unreadable examples of ten in training ({executor})",
        f"examples {names} named once with their paths, replaced by the next in all {len(batches)} batches",
    )


@pytest.mark.faults
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("num_threads", [1, 4])
def test_one_bad_case_too_many_ends_the_run_at_the_same_step(executor, num_threads, record_fault):
    stream = [(step, int(index)) for step in range(10) for index in PLAN.indices(step)]
    bad = {1, 5, 8}
    met = list(dict.fromkeys(index for _, index in stream if index in bad))
    step = next(step for step, index in stream if index == met[2])
    batches = pipeline.make_batches(
        make_load(bad), PLAN, executor=executor, num_threads=num_threads, max_bad_cases=2
    )
    given_before = 0
    with pytest.raises(pipeline.LoadError) as caught:
        for _ in itertools.islice(batches, 10):
            given_before += 1
    assert given_before == step
    assert (caught.value.index, caught.value.step) == (met[2], step)
    assert str(caught.value) == (
        f"example {met[2]} (step {step}): ReadError: case{met[2]}.nii.gz: found damaged data; "
        "wanted an intact file (max_bad_cases is 2)"
    )
    assert isinstance(caught.value.__cause__, ReadError)
    record_fault("8 three unreadable examples, two allowed", f"LoadError at step {step} names the third")


def test_a_data_set_without_one_readable_example_is_an_error():
    with pytest.raises(pipeline.LoadError, match=r"\(max_bad_cases is 99\)"):
        take(set(range(NUM_EXAMPLES)), max_bad_cases=99)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOENT, "No such file or directory", "case.nii"),
        OSError(errno.EACCES, "Permission denied", "case.nii"),
        OSError(errno.EIO, "Input/output error", "case.nii"),
        OSError("Not a gzipped file"),
    ],
    ids=["absent", "forbidden", "bad sector", "of a decoder"],
)
def test_errors_of_one_file_are_left_out(error):
    load = make_load({4}, lambda index: error)
    steps = list(pipeline.make_batches(load, PLAN, num_steps=5, executor="threads", max_bad_cases=1))
    assert 4 not in np.concatenate([step["index"] for step in steps])


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.ETIMEDOUT, "Connection timed out"),
        MemoryError(),
        ValueError("a bug"),
        KeyError("image"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}",
)
def test_errors_of_the_machine_and_bugs_are_not(error):
    load = make_load({4}, lambda index: error)
    with pytest.raises(pipeline.LoadError) as caught:
        list(pipeline.make_batches(load, PLAN, num_steps=5, executor="threads", max_bad_cases=9))
    assert caught.value.__cause__ is error


@pytest.mark.faults
@pytest.mark.parametrize("executor", EXECUTORS)
def test_evaluation_never_leaves_a_case_out(executor, record_fault):
    batches = pipeline.make_evaluation_batches(make_load({4}), NUM_EXAMPLES, 2, executor=executor)
    with pytest.raises(pipeline.LoadError, match=r"example 4 \(step 2\): ReadError: case4") as caught:
        list(batches)
    record_fault("8 unreadable example in evaluation", str(caught.value))


def test_the_limit_is_checked_at_the_call():
    with pytest.raises(ValueError, match="max_bad_cases is -1; wanted at least 0"):
        pipeline.make_batches(make_load(()), PLAN, max_bad_cases=-1)
