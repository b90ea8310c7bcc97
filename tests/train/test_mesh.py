import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from jaxmed.train import mesh


def test_mesh_takes_what_space_leaves():
    assert dict(mesh.make_mesh().shape) == {"data": jax.device_count(), "space": 1}
    assert dict(mesh.make_mesh(space=2).shape) == {"data": jax.device_count() // 2, "space": 2}
    assert dict(mesh.make_mesh(2, 3).shape) == {"data": 2, "space": 3}


@pytest.mark.parametrize(("data", "space"), [(9, 1), (3, 3), (0, 9), (1, 0), (-1, 1)])
def test_mesh_that_does_not_fit_is_refused(data, space):
    with pytest.raises(ValueError, match="does not fit"):
        mesh.make_mesh(data, space)


VOLUME = mesh.Volumes(("volume",))


def test_examples_are_split_over_data_and_the_depth_of_volumes_over_space():
    devices = mesh.make_mesh(2, 4)
    batch = {
        "volume": np.zeros((4, 8, 3, 3, 1)),
        "label": np.zeros((4, 8, 3, 3), np.int8),
        "stack": np.zeros((4, 8, 3, 3, 1)),  # of the same rank, but without a depth
        "class": np.arange(4),
    }
    placed = mesh.put_batch(batch, devices, mesh.Volumes(("volume", "label")))
    assert placed["volume"].sharding.spec == PartitionSpec("data", "space")
    assert placed["volume"].addressable_shards[0].data.shape == (2, 2, 3, 3, 1)
    assert placed["label"].addressable_shards[0].data.shape == (2, 2, 3, 3)
    assert placed["stack"].addressable_shards[0].data.shape == (2, 8, 3, 3, 1)
    np.testing.assert_array_equal(placed["class"], batch["class"])


def test_volume_that_the_batch_lacks_is_named():
    with pytest.raises(ValueError, match=r"volumes \['volume'\] are not in the batch, which has \['image'\]"):
        mesh.put_batch({"image": np.zeros((6, 2))}, mesh.make_mesh(1), VOLUME)


def test_depth_behind_stacked_members_is_split_and_padded_there():
    devices, volumes = mesh.make_mesh(2, 4), mesh.Volumes(("volume",), depth_axis=2)
    even, odd = (np.random.default_rng(0).normal(size=(2, 3, depth, 2)) for depth in (8, 5))
    placed = mesh.put_batch({"volume": even}, devices, volumes)["volume"]
    assert placed.addressable_shards[0].data.shape == (1, 3, 2, 2)
    for batch in (
        mesh.put_batch({"volume": odd}, devices, volumes),
        jax.tree.map(
            lambda x: x[1], mesh.put_batches([{"volume": even[:, :, :5]}, {"volume": odd}], devices, volumes)
        ),
    ):
        assert batch["volume"].array.shape == (2, 3, 8, 2)
        np.testing.assert_array_equal(mesh.crop_padding(batch)["volume"], odd.astype(np.float32))


def test_batch_that_does_not_divide_is_refused_by_name():
    with pytest.raises(ValueError, match=r"axis 0 of 'image' has size 6.*4 part"):
        mesh.put_batch({"image": np.zeros((6, 2))}, mesh.make_mesh(4))


@pytest.mark.parametrize(("depth", "padded"), [(8, 8), (9, 12), (3, 4)])
def test_depth_that_does_not_divide_is_padded_and_cropped_inside_the_program(depth, padded):
    devices = mesh.make_mesh(2, 4)
    volume = np.random.default_rng(0).normal(size=(2, depth, 3, 2, 1)).astype(np.float32)
    batch = mesh.put_batch({"volume": volume, "index": np.arange(2)}, devices, VOLUME)
    arrays = jax.tree.leaves(batch)
    assert {array.shape for array in arrays} == {(2, padded, 3, 2, 1), (2,)}
    assert isinstance(batch["volume"], mesh.PaddedVolume) == (depth != padded)

    seen = []

    def means(batch):
        seen.append(batch["volume"].shape)
        return batch["volume"].mean((1, 2, 3, 4)) + batch["index"]

    found = jax.jit(lambda batch: means(mesh.crop_padding(batch)))(batch)
    assert seen == [volume.shape]
    np.testing.assert_allclose(found, volume.mean((1, 2, 3, 4)) + np.arange(2), rtol=1e-5)


def test_another_true_depth_is_another_program():
    devices = mesh.make_mesh(1, 4)
    total = jax.jit(lambda batch: mesh.crop_padding(batch)["volume"].sum())

    def count(depth):
        return total(mesh.put_batch({"volume": np.ones((1, depth, 1, 1, 1))}, devices, VOLUME))

    assert [count(depth) for depth in (5, 6, 5)] == [5, 6, 5]
    assert total._cache_size() == 2
