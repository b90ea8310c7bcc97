import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines import index_plan
from data_pipelines.index_plan import IndexPlan

SEEDS = st.integers(0, 2**64 - 1)


@given(
    num_examples=st.integers(1, 13),
    local_batch=st.integers(1, 9),
    num_hosts=st.integers(1, 4),
    resume=st.integers(0, 30),
    seed=SEEDS,
)
def test_every_index_comes_once_per_epoch_for_any_hosts_and_resume(
    num_examples, local_batch, num_hosts, resume, seed
):
    plan = IndexPlan(num_examples, local_batch * num_hosts, seed)
    before = [plan.indices(step) for step in range(resume)]
    # One epoch after the next full one is complete, whatever the step resumed from.
    num_steps = -(-3 * num_examples // plan.batch_size)
    resumed = IndexPlan(num_examples, local_batch * num_hosts, seed)
    after = [
        np.concatenate([resumed.indices(step)[resumed.host_slice(h, num_hosts)] for h in range(num_hosts)])
        for step in range(resume, resume + num_steps)
    ]
    stream = np.concatenate(before + after)
    epochs = stream[: stream.size // num_examples * num_examples].reshape(-1, num_examples)
    assert len(epochs) >= 3
    assert np.array_equal(np.sort(epochs), np.tile(np.arange(num_examples), (len(epochs), 1)))


@given(
    num_examples=st.integers(1, 13),
    local_batch=st.integers(1, 5),
    num_hosts=st.integers(1, 6),
    step=st.integers(0, 40),
    seed=SEEDS,
)
def test_the_parts_of_the_hosts_are_disjoint_and_complete(num_examples, local_batch, num_hosts, step, seed):
    plan = IndexPlan(num_examples, local_batch * num_hosts, seed)
    positions = [range(plan.batch_size)[plan.host_slice(host, num_hosts)] for host in range(num_hosts)]
    assert [position for part in positions for position in part] == list(range(plan.batch_size))
    assert {len(part) for part in positions} == {local_batch}
    found = [plan.index(step, position) for part in positions for position in part]
    assert found == plan.indices(step).tolist()


@given(
    num_examples=st.integers(1, 9),
    batch_size=st.integers(1, 20),
    seed=SEEDS,
    steps=st.lists(st.integers(0, 50)),
)
def test_indices_depend_on_the_step_and_not_on_the_calls_before(num_examples, batch_size, seed, steps):
    plan = IndexPlan(num_examples, batch_size, seed)
    seen = [plan.indices(step) for step in steps]
    for step, indices in zip(reversed(steps), reversed(seen), strict=True):
        index_plan._epoch_permutation.cache_clear()
        assert indices.dtype == np.int64
        assert np.array_equal(plan.indices(step), indices)
        assert [plan.index(step, position) for position in range(batch_size)] == indices.tolist()


@given(num_examples=st.integers(1, 9), seed=SEEDS, sizes=st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_the_stream_and_its_generators_do_not_depend_on_the_batch_size(num_examples, seed, sizes):
    def stream(batch_size):
        plan = IndexPlan(num_examples, batch_size, seed)
        places = [divmod(counter, batch_size) for counter in range(40)]
        return [(plan.index(*place), int(plan.generator(*place).integers(2**62))) for place in places]

    assert stream(sizes[0]) == stream(sizes[1])


def test_an_epoch_is_the_permutation_of_its_philox_key():
    plan = IndexPlan(num_examples=50, batch_size=50, seed=7)
    for epoch in range(3):
        philox = np.random.Philox(key=np.array([7, epoch], np.uint64))
        assert np.array_equal(plan.indices(epoch), np.random.Generator(philox).permutation(50))
    assert not np.array_equal(plan.indices(0), plan.indices(1))


def test_neighbouring_large_seeds_differ():
    first, second = (IndexPlan(50, 50, seed) for seed in (2**64 - 1, 2**64 - 2))
    assert not np.array_equal(first.indices(0), second.indices(0))
    assert first.generator(0, 0).integers(2**62) != second.generator(0, 0).integers(2**62)


def test_generators_differ_from_each_other_and_from_the_permutations():
    plan = IndexPlan(num_examples=5, batch_size=4, seed=3)
    draws = [plan.generator(step, position).integers(2**62) for step in range(5) for position in range(4)]
    epochs = [
        np.random.Generator(np.random.Philox(key=np.array([3, epoch], np.uint64))).integers(2**62)
        for epoch in range(20)
    ]
    assert len({*draws, *epochs}) == 40


def test_a_caller_cannot_change_the_plan_through_its_indices():
    plan = IndexPlan(num_examples=4, batch_size=4, seed=0)
    expected = plan.indices(0).copy()
    plan.indices(0)[:] = -1
    assert np.array_equal(plan.indices(0), expected)


def test_hosts_get_contiguous_parts():
    plan = IndexPlan(num_examples=10, batch_size=6, seed=0)
    assert [plan.host_slice(host, 3) for host in range(3)] == [slice(0, 2), slice(2, 4), slice(4, 6)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "batch_size is 4; wanted a multiple of the 3 processes"),
        ((2, 2), "process_index is 2; wanted 0 to 1"),
        ((-1, 2), "process_index is -1; wanted 0 to 1"),
        ((0, 0), "process_count is 0; wanted at least 1"),
    ],
)
def test_bad_hosts_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        IndexPlan(num_examples=4, batch_size=4, seed=0).host_slice(*arguments)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((0, 1, 0), "num_examples is 0; wanted at least 1"),
        ((1, 0, 0), "batch_size is 0; wanted at least 1"),
        ((1, 1, -1), "seed is -1; wanted 0 to 2\\^64 - 1"),
        ((1, 1, 2**64), "seed is 18446744073709551616"),
    ],
)
def test_bad_plans_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        IndexPlan(*fields)


@given(num_examples=st.integers(1, 40), batch_size=st.integers(1, 12))
def test_evaluation_weighs_every_example_once_in_order(num_examples, batch_size):
    batches = list(index_plan.evaluation_batches(num_examples, batch_size))
    indices, weights = (np.stack(arrays) for arrays in zip(*batches, strict=True))
    assert indices.shape == weights.shape == (-(-num_examples // batch_size), batch_size)
    assert indices.dtype == np.int64
    assert weights.dtype == np.float32
    assert np.array_equal(indices[weights == 1], np.arange(num_examples))
    assert np.all(indices[weights == 0] == num_examples - 1)
    assert weights.sum() == num_examples


def test_evaluation_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="num_examples is 0; wanted at least 1"):
        next(index_plan.evaluation_batches(0, 4))


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 7), st.integers(0, 9), SEEDS)
def test_runs_stay_together_and_every_index_comes_once(num_runs, run_length, batch_size, epoch, seed):
    num_examples = num_runs * run_length
    plan = IndexPlan(num_examples, batch_size, seed, run_length)
    stream = [
        plan.index(*divmod(place, batch_size))
        for place in range(epoch * num_examples, (epoch + 1) * num_examples)
    ]
    assert sorted(stream) == list(range(num_examples))
    runs = np.array(stream).reshape(num_runs, run_length)
    assert np.array_equal(runs % run_length, np.tile(np.arange(run_length), (num_runs, 1)))
    assert np.array_equal(runs // run_length, np.repeat(runs[:, :1] // run_length, run_length, axis=1))
    alone = IndexPlan(num_runs, 1, seed)
    assert (runs[:, 0] // run_length).tolist() == [
        alone.index(step, 0) for step in range(epoch * num_runs, (epoch + 1) * num_runs)
    ]


@pytest.mark.parametrize("run_length", [0, -1, 4, 7])
def test_runs_that_do_not_divide_the_data_set_are_refused(run_length):
    with pytest.raises(ValueError, match=f"run_length is {run_length}; wanted a divisor of 6"):
        IndexPlan(6, 2, 0, run_length)
