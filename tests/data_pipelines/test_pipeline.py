import gc
import subprocess
import sys
import time
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines import pipeline
from data_pipelines.index_plan import IndexPlan

EXECUTORS = ["threads", "tf"]
PLAN = IndexPlan(num_examples=7, batch_size=6, seed=11)
VOLUMES = np.random.default_rng(0).integers(-1000, 1000, (8, 8, 9, 10)).astype(np.int16)


def load_crop(index, generator):
    """A crop that depends on the generator, and a scalar, an empty array, a mask and a float beside it."""
    corner = [int(generator.integers(0, size - 4)) for size in VOLUMES.shape[1:]]
    crop = VOLUMES[index][tuple(slice(start, start + 4) for start in corner)]
    return {
        "image": crop,
        "label": crop > 0,
        "boxes": np.zeros((0, 6), np.float32),
        "index": np.int64(index),
        "noise": generator.standard_normal(3),
    }


def take(batches, number):
    return [next(batches) for _ in range(number)]


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert one[name].dtype == other[name].dtype
            assert np.array_equal(one[name], other[name])


def stack_by_hand(plan, step, positions):
    rows = [load_crop(plan.index(step, p), plan.generator(step, p)) for p in positions]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("executor", [*EXECUTORS, "auto"])
def test_batches_are_the_stacked_examples_of_the_plan(executor):
    batches = list(pipeline.make_batches(load_crop, PLAN, num_steps=4, num_threads=3, executor=executor))
    assert_equal(batches, [stack_by_hand(PLAN, step, range(6)) for step in range(4)])
    assert batches[0]["image"].shape == (6, 4, 4, 4)
    assert batches[0]["boxes"].shape == (6, 0, 6)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_resuming_gives_the_batches_of_the_straight_run(executor):
    straight = list(pipeline.make_batches(load_crop, PLAN, num_steps=6, executor=executor))
    resumed = list(pipeline.make_batches(load_crop, PLAN, first_step=4, num_steps=2, executor=executor))
    assert_equal(resumed, straight[4:])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_closed_batches_let_go_of_what_they_were_loaded_from(executor):
    """TensorFlow keeps its functions: in a process of many runs, the files of all would stay open."""

    class Source:
        def load(self, index, generator):
            return load_crop(index, generator)

    source = Source()
    batches = pipeline.make_batches(source.load, PLAN, executor=executor)
    next(batches)
    batches.close()
    kept, source, batches = weakref.ref(source), None, None
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_parts_of_the_hosts_make_up_the_global_batch(executor):
    whole = list(pipeline.make_batches(load_crop, PLAN, first_step=1, num_steps=3, executor=executor))
    parts = [
        list(
            pipeline.make_batches(
                load_crop,
                PLAN,
                first_step=1,
                num_steps=3,
                process_index=host,
                process_count=3,
                executor=executor,
            )
        )
        for host in range(3)
    ]
    joined = [
        {name: np.concatenate([part[name] for part in step]) for name in step[0]}
        for step in zip(*parts, strict=True)
    ]
    assert_equal(joined, whole)


@settings(max_examples=30, deadline=None)
@given(
    num_threads=st.integers(1, 5),
    prefetch=st.integers(1, 4),
    first_step=st.integers(0, 9),
    seed=st.integers(0, 9),
)
def test_threads_and_prefetch_change_nothing(num_threads, prefetch, first_step, seed):
    plan = IndexPlan(num_examples=7, batch_size=3, seed=seed)
    batches = pipeline.make_batches(
        load_crop,
        plan,
        first_step=first_step,
        num_steps=3,
        num_threads=num_threads,
        prefetch=prefetch,
        executor="threads",
    )
    assert_equal(list(batches), [stack_by_hand(plan, first_step + step, range(3)) for step in range(3)])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_order_is_kept_when_early_examples_are_slow(executor):
    def load(index, generator):
        time.sleep(0.02 if index < 3 else 0)
        return {"index": np.array(index)}

    batches = pipeline.make_batches(load, PLAN, num_steps=3, num_threads=4, executor=executor)
    assert [batch["index"].tolist() for batch in batches] == [
        PLAN.indices(step).tolist() for step in range(3)
    ]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_batches_are_fresh_and_read_only(executor):
    batches = take(pipeline.make_batches(load_crop, PLAN, executor=executor), 3)
    images = [batch["image"] for batch in batches]
    assert not any(image.flags.writeable for image in images)
    assert not np.shares_memory(images[0], images[1])
    assert images[0].flags.c_contiguous


@pytest.mark.parametrize("executor", EXECUTORS)
def test_foreign_byte_order_and_fortran_order_are_brought_home(executor):
    values = np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3))
    batch = next(pipeline.make_batches(lambda index, generator: {"image": values}, PLAN, executor=executor))
    assert batch["image"].dtype == np.dtype(np.int16)
    assert np.array_equal(batch["image"][5], np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_no_steps_load_nothing(executor):
    calls = []
    batches = pipeline.make_batches(lambda *place: calls.append(place), PLAN, num_steps=0, executor=executor)
    assert list(batches) == []
    assert calls == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_look_ahead_is_bounded(executor):
    calls = []

    def load(index, generator):
        calls.append(index)
        return {"image": np.zeros(4)}

    batches = pipeline.make_batches(load, PLAN, num_threads=2, prefetch=2, executor=executor)
    next(batches)
    deadline = time.monotonic() + 20
    while len(calls) < 3 * 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    # One batch of 6 handed out and two ready; in tf.data each of the 2 threads holds an example more.
    assert 3 * 6 <= len(calls) <= 3 * 6 + 2
    batches.close()


def test_the_thread_executor_needs_no_tensorflow():
    program = """
import sys
import numpy as np
sys.modules["tensorflow"] = None
from data_pipelines import index_plan, pipeline
plan = index_plan.IndexPlan(4, 2, 0)
load = lambda index, generator: {"image": np.full(2, index)}
print(len(list(pipeline.make_batches(load, plan, num_steps=2, executor="threads"))))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "2", done.stderr


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("num_examples", "batch_size", "num_hosts"), [(7, 4, 1), (7, 4, 2), (8, 4, 1), (1, 4, 4)]
)
def test_evaluation_gives_every_example_once(executor, num_examples, batch_size, num_hosts):
    parts = [
        list(
            pipeline.make_evaluation_batches(
                load_crop,
                num_examples,
                batch_size,
                process_index=h,
                process_count=num_hosts,
                executor=executor,
            )
        )
        for h in range(num_hosts)
    ]
    steps = [
        {name: np.concatenate([part[name] for part in step]) for name in step[0]}
        for step in zip(*parts, strict=True)
    ]
    index = np.concatenate([step["index"] for step in steps])
    weight = np.concatenate([step["weight"] for step in steps])
    assert weight.dtype == np.float32
    assert np.array_equal(index[weight == 1], np.arange(num_examples))
    assert np.all(index[weight == 0] == num_examples - 1)
    assert len(index) == -(-num_examples // batch_size) * batch_size


def test_evaluation_crops_do_not_depend_on_the_batch_size():
    def crops(batch_size):
        steps = list(pipeline.make_evaluation_batches(load_crop, 7, batch_size, executor="threads"))
        return np.concatenate([step["image"] for step in steps])[:7]

    assert np.array_equal(crops(2), crops(5))


def test_evaluation_refuses_a_loader_that_gives_weights():
    with pytest.raises(pipeline.LoadError, match=r"example 0 .*'weight'"):
        next(pipeline.make_evaluation_batches(lambda index, generator: {"weight": np.ones(1)}, 3, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_step": -1}, "first_step is -1; wanted at least 0"),
        ({"num_steps": -1}, "num_steps is -1; wanted at least 0"),
        ({"num_threads": 0}, "num_threads is 0; wanted at least 1"),
        ({"prefetch": 0}, "prefetch is 0; wanted at least 1"),
        ({"executor": "torch"}, "executor is 'torch'; wanted auto, tf or threads"),
        ({"process_count": 4}, "batch_size is 6; wanted a multiple of the 4 processes"),
    ],
)
def test_bad_arguments_are_named_at_the_call(options, message):
    with pytest.raises(ValueError, match=message):
        pipeline.make_batches(load_crop, PLAN, **options)
