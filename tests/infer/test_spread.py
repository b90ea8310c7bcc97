import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmed.infer import spread
from jaxmed.infer.spread import Spread

MESHES = [(0, 1), (1, 1), (3, 1), (4, 1), (2, 4), (8, 1)]


def scale(variables, batch):
    return {"scaled": variables["factor"] * batch, "sum": batch.sum(axis=1)}


def chunks(examples, size):
    return (examples[start : start + size] for start in range(0, len(examples), size))


@pytest.mark.parametrize(("data", "space"), MESHES)
@pytest.mark.parametrize("count", [1, 5, 6, 13])
def test_outputs_come_back_in_order_without_padding(data, space, count, replicate):
    examples = np.arange(2.0 * count, dtype=np.float32).reshape(count, 2) + 1
    apply = Spread(scale, replicate({"factor": np.float32(3)}, data, space), 5)
    parts = list(apply(chunks(examples, apply.batch_size)))
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(parts))
    np.testing.assert_array_equal(np.concatenate([part["scaled"] for part in parts]), 3 * examples)
    np.testing.assert_array_equal(np.concatenate([part["sum"] for part in parts]), examples.sum(axis=1))


@pytest.mark.parametrize(("data", "space", "size"), [(0, 1, 5), (1, 1, 5), (3, 1, 6), (4, 1, 8), (2, 4, 8)])
def test_batch_is_split_over_every_device_and_compiled_once(data, space, size, replicate):
    seen = []

    def record(variables, batch):
        seen.append(batch.shape)
        return batch + variables["zero"]

    apply = Spread(record, replicate({"zero": np.float32(0)}, data, space), 5)
    assert apply.batch_size == size
    list(apply(np.ones((count, 2), np.float32) for count in (1, size, size - 1, size)))
    assert seen == [(size // max(data * space, 1), 2)]


def test_variables_on_one_device_are_used_there():
    device = jax.local_devices()[5]
    apply = Spread(scale, jax.device_put({"factor": np.float32(2)}, device), 2)
    before = {id(array) for array in device.client.live_arrays()}
    examples = np.ones((2, 1), np.float32)
    np.testing.assert_array_equal(next(apply([examples]))["scaled"], [[2], [2]])
    made = [array for array in device.client.live_arrays() if id(array) not in before]
    assert {place for array in made for place in array.devices()} <= {device}
    assert apply._put(examples).devices() == {device}


def test_no_device_talks_to_another(replicate):
    """An operation that the compiler would gather, such as sorting, stays on each device's own examples."""
    apply = Spread(lambda _, batch: jnp.sort(batch, axis=1), replicate({"w": np.zeros(3)}, 4, 2), 16)
    examples = np.random.default_rng(0).normal(size=(16, 64)).astype(np.float32)
    text = apply._apply.lower(apply._variables, apply._put(examples)).compile().as_text()
    assert not [name for name in ("all-gather", "all-reduce", "all-to-all", "permute(") if name in text]
    np.testing.assert_array_equal(next(apply([examples])), np.sort(examples, axis=1))


def test_next_batch_is_read_before_the_last_one_is_asked_for_and_few_are_in_flight():
    events = []

    def batches():
        for number in range(6):
            events.append(f"read {number}")
            yield np.full((1, 1), number, np.float32)

    for number, _ in enumerate(Spread(lambda _, batch: batch, {}, 1)(batches())):
        events.append(f"got {number}")
    flight = 0
    for event in events:
        flight += 1 if event.startswith("read") else -1
        assert 0 <= flight <= spread._BATCHES_IN_FLIGHT + 1
    assert events.index("read 2") < events.index("got 0")


def test_trees_of_inputs_and_whole_numbers_are_taken(replicate):
    apply = Spread(lambda _, batch: batch["a"] + batch["b"], replicate({"w": np.zeros(1)}, 4), 4)
    batch = {"a": np.arange(3, dtype=np.int16), "b": np.ones(3, np.int16)}
    (total,) = apply([batch])
    assert total.dtype == np.int16
    np.testing.assert_array_equal(total, [1, 2, 3])


def test_a_result_stays_as_it_is_while_others_are_computed(replicate):
    apply = Spread(lambda _, batch: batch * 2, replicate({"w": np.zeros(1)}, 2), 2)
    kept = list(apply(np.full((2, 64), number, np.float32) for number in range(8)))
    assert [set(part.ravel()) for part in kept] == [{2.0 * number} for number in range(8)]


def test_wrong_arguments_get_one_line(replicate):
    with pytest.raises(ValueError, match="batch_size: 0; wanted 1 or more"):
        Spread(scale, {"factor": 1.0}, 0)
    apply = Spread(lambda _, batch: batch, {}, 2)
    for batch in (np.zeros((0, 3)), np.zeros((3, 3)), {"a": np.zeros(1), "b": np.zeros(2)}):
        with pytest.raises(ValueError, match="wanted one count, 1 to 2"):
            list(apply([batch]))
    with pytest.raises(ValueError, match="wanted one each"):
        list(Spread(lambda _, batch: batch.mean(axis=0), {}, 4)([np.zeros((4, 3), np.float32)]))


def test_variables_on_two_meshes_are_refused(replicate):
    other = Mesh(np.array(jax.devices()[:2]), ("other",))
    variables = {
        "a": replicate(np.zeros(2), 4),
        "b": jax.device_put(np.zeros(2), NamedSharding(other, PartitionSpec())),
    }
    with pytest.raises(ValueError, match="variables: on 2 meshes and 4 devices; wanted one"):
        Spread(scale, variables, 1)
