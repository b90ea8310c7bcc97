import threading

import jax
import numpy as np
import pytest

from data_pipelines import pipeline
from data_pipelines.executors.batch_memory import BatchMemory
from data_pipelines.index_plan import IndexPlan

SPEC = {
    "image": ((3, 5), np.dtype(np.int16)),
    "index": ((), np.dtype(np.int64)),
    "none": ((0,), np.dtype(bool)),
}


def address(array):
    return array.__array_interface__["data"][0]


def test_arrays_have_the_shapes_and_are_aligned():
    arrays = BatchMemory(SPEC, 4, max_idle=1).take()
    assert {name: (array.shape, array.dtype) for name, array in arrays.items()} == {
        name: ((4, *shape), dtype) for name, (shape, dtype) in SPEC.items()
    }
    assert all(array.flags.c_contiguous and array.flags.writeable for array in arrays.values())
    assert address(arrays["image"]) % 64 == address(arrays["index"]) % 64 == 0


HOLDERS = {
    "array": lambda array: array,
    "view": lambda array: array[1:2, 1],
    "view of a view": lambda array: array[1:][0].reshape(-1)[3:],
    "memoryview": memoryview,
    "list": lambda array: list(array),
    "reinterpreted": lambda array: array.view(np.uint8),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_memory_comes_again_when_nothing_refers_to_it_and_not_before(holder):
    memory = BatchMemory(SPEC, 4, max_idle=3)
    image = memory.take()["image"]
    first = address(image)
    image[:] = 7
    held = HOLDERS[holder](image)
    del image
    others = [memory.take() for _ in range(3)]
    assert first not in [address(other["image"]) for other in others]
    assert np.all(np.asarray(held).ravel() == (7 if holder != "reinterpreted" else held.ravel()))
    del held
    assert address(memory.take()["image"]) == first


def test_a_device_array_holds_the_memory_it_shares():
    memory = BatchMemory({"image": ((16, 16), np.dtype(np.float32))}, 4, max_idle=3)
    image = memory.take()["image"]
    image[:] = 3.0
    first, device = address(image), jax.device_put(image, jax.devices()[0])
    assert device.unsafe_buffer_pointer() == first
    del image
    other = memory.take()["image"]
    other[:] = 5.0
    assert address(other) != first
    assert np.all(np.asarray(device) == 3.0)


def test_no_more_than_asked_for_stays_idle():
    memory = BatchMemory({"image": ((8,), np.dtype(np.int16))}, 2, max_idle=2)
    many = [memory.take() for _ in range(10)]
    del many
    held = [memory.take()]
    assert len(memory._owners["image"]) == 3
    del held


@pytest.mark.parametrize("executor", ["threads", "tf"])
def test_batches_that_are_kept_are_never_overwritten(executor):
    plan = IndexPlan(50, 4, 0)
    batches = pipeline.make_batches(
        lambda index, generator: {"image": np.full((16, 16), index)}, plan, num_steps=40, executor=executor
    )
    kept = {}
    for step, batch in enumerate(batches):
        if step % 3 == 0:
            kept[step] = batch["image"][:, 3, 3]
    for step, indices in kept.items():
        assert indices.tolist() == plan.indices(step).tolist()


@pytest.mark.parametrize("executor", ["threads", "tf"])
def test_batches_that_are_dropped_take_turns_in_little_memory(executor):
    batches = pipeline.make_batches(
        lambda index, generator: {"image": np.zeros((64, 64))},
        IndexPlan(5, 4, 0),
        num_steps=30,
        executor=executor,
    )
    assert len({address(batch["image"]) for batch in batches}) <= 5


def test_threads_never_get_the_same_memory():
    memory = BatchMemory({"image": ((4,), np.dtype(np.int16))}, 1, max_idle=2)
    clashes = []

    def work(number):
        for _ in range(300):
            image = memory.take()["image"]
            image[:] = number
            if not np.all(image == number):
                clashes.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not clashes
