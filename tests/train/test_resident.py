"""Data sets on the devices: the same examples on any device count, sent once, in both compile modes."""

import itertools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms.supervised import supervised
from jaxmed.bench import collectives
from jaxmed.ops import patches
from jaxmed.ops.example_keys import example_keys
from jaxmed.train import fit, mesh, resident
from jaxmed.train.resident import Resident

NUM_EXAMPLES, BATCH_SIZE, SIZE = 11, 8, (3, 2)
IMAGES = np.random.default_rng(0).integers(-1000, 1000, (NUM_EXAMPLES, 6, 5, 1)).astype(np.int16)


def indices(step):
    return np.random.default_rng(step).integers(0, NUM_EXAMPLES, BATCH_SIZE)


def prepare(batch, key):
    """Random crops, scaled; the target is the crop's mean."""
    starts = patches.draw_starts(example_keys(key, len(batch["index"])), IMAGES.shape[1:3], SIZE)
    crops = batch["image"].take_crops(batch["index"], starts, SIZE).astype(jnp.float32) / 1000
    return crops.reshape(len(crops), -1), crops.mean(axis=(1, 2))


class Line(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(1)(x)


ALGORITHM = supervised(
    Line(),
    optax.adam(0.05),
    prepare=prepare,
    loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
)


def train(num_steps=5, *, devices=1, mode="jit", split=False, **options):
    batches = resident.resident_batches({"image": IMAGES}, indices, 0, split=split)
    seen = []
    state = jax.jit(ALGORITHM.init)(jax.random.key(0), next(batches))
    state = fit.fit(
        ALGORITHM,
        state,
        resident.resident_batches({"image": IMAGES}, indices, 0, split=split),
        key=jax.random.key(1),
        num_steps=num_steps,
        mesh=mesh.make_mesh(devices),
        mode=mode,
        observers=[lambda step, state, metrics: seen.append(float(metrics["loss"]))],
        **options,
    )
    return jax.device_get(state), seen


@pytest.fixture(scope="module")
def one_device():
    return train()


@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_any_number_of_devices_sees_the_same_crops(one_device, mode, split):
    """Eleven examples over four devices: the last share is padded."""
    state, seen = train(devices=4, mode=mode, split=split)
    chex.assert_trees_all_close(state, one_device[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen, one_device[1], rtol=1e-5)


@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
def test_several_steps_per_dispatch_are_the_same_bits(one_device, split):
    single = train(devices=4, split=split)
    together = train(devices=4, split=split, steps_per_dispatch=2)
    chex.assert_trees_all_equal(single, together)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_crops_of_a_split_set_are_exact(dtype):
    images = (IMAGES % 200).astype(dtype)
    placed = resident.place(Resident(images, split=True), mesh.make_mesh(4))
    index, starts = jnp.asarray(indices(3)), jnp.tile(jnp.array([[1, 2]]), (BATCH_SIZE, 1))
    take = jax.jit(lambda data, index: data.take_crops(index, starts, SIZE))
    crops = take(placed, index)
    assert crops.dtype == dtype
    np.testing.assert_array_equal(crops, images[np.asarray(index), 1:4, 2:4])
    np.testing.assert_array_equal(jax.jit(lambda data, i: data.take(i))(placed, index), images[index])


def test_a_split_set_exchanges_only_the_crops():
    devices = mesh.make_mesh(4)
    batch = mesh.put_batch(
        next(resident.resident_batches({"image": IMAGES}, indices, 0, split=True)), devices
    )
    assert {shard.data.shape[0] for shard in batch["image"].array.addressable_shards} == {3}
    state = mesh.replicate(jax.jit(ALGORITHM.init)(jax.random.key(0), batch), devices)
    step = fit.compile_step(ALGORITHM, devices)
    key = mesh.replicate(jax.random.key(1), devices)
    moved = collectives.list_collectives(step.lower(state, batch, key).compile().as_text())
    num_bytes = sum(one.num_bytes for one in moved if one.kind in ("reduce-scatter", "all-gather"))
    crops = BATCH_SIZE // 4 * np.prod(SIZE) * 4
    numbers = BATCH_SIZE * (1 + len(SIZE)) * 4
    assert num_bytes == crops + numbers


def test_it_is_sent_once_and_again_when_another_comes():
    send = mesh.Sender(mesh.make_mesh(2))
    batches = resident.resident_batches({"image": IMAGES}, indices, 0)
    first, second = (send([batch], stack=False)["image"].array for batch in itertools.islice(batches, 2))
    assert first is second
    other = send([{"index": np.zeros(8, np.int32), "image": Resident(IMAGES + 1)}], stack=False)["image"]
    np.testing.assert_array_equal(other.array, IMAGES + 1)
    assert mesh.put_batch({"image": other}, mesh.make_mesh(2))["image"] is other


def test_a_memory_map_is_read_by_the_devices_that_hold_it(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    placed = resident.place(Resident(mapped, split=True), mesh.make_mesh(2))
    np.testing.assert_array_equal(placed.array[:NUM_EXAMPLES], IMAGES)
    assert placed.array.shape[0] == 12 and not np.asarray(placed.array[11]).any()


def test_batches_name_their_examples_and_begin_where_they_should():
    batches = resident.resident_batches({"image": IMAGES}, indices, 4)
    first = next(batches)
    np.testing.assert_array_equal(first["index"], indices(4))
    assert first["index"].dtype == np.int32
    assert (first["image"].shape, first["image"].dtype) == (IMAGES.shape, np.int16)
