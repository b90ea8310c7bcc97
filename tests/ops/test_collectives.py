import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from jaxmed.ops import collectives
from jaxmed.train import mesh


def per_device(function, num_devices=4):
    return jax.jit(
        jax.shard_map(
            function,
            mesh=mesh.make_mesh(num_devices),
            in_specs=PartitionSpec("data"),
            out_specs=PartitionSpec("data"),
            check_vma=False,
        )
    )


def test_global_program_is_left_alone():
    values = jnp.arange(4.0)
    assert not collectives.runs_per_device()
    assert collectives.mean_over_devices({"a": values})["a"] is values
    assert collectives.first_position(8) == 0


def test_mean_per_device_is_the_global_mean():
    values = jnp.arange(8.0)
    found = per_device(lambda x: collectives.mean_over_devices(x.mean())[None])(values)
    np.testing.assert_allclose(found, [3.5] * 4)


def test_positions_per_device_continue_each_other():
    found = per_device(lambda x: (collectives.first_position(2) + jnp.arange(2)).astype(jnp.int32))(
        jnp.zeros(8)
    )
    np.testing.assert_array_equal(found, np.arange(8))


def test_other_mapped_axes_do_not_count():
    def inner(x):
        assert not collectives.runs_per_device()
        return x

    devices = jax.make_mesh(
        (2,), ("model",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:2]
    )
    spec = PartitionSpec("model")
    jax.jit(jax.shard_map(inner, mesh=devices, in_specs=spec, out_specs=spec))(jnp.zeros(2))


def test_what_a_program_makes_lies_as_its_input_does():
    def make(like):
        return collectives.split_alike(jax.random.normal(jax.random.key(0), like.shape), like)

    like = jnp.zeros((2, 4, 3))
    devices = mesh.make_mesh(2, 4)
    split = jax.device_put(like, jax.NamedSharding(devices, PartitionSpec("data", "space")))
    made = jax.jit(make)(split)
    assert made.sharding.is_equivalent_to(split.sharding, 3)
    np.testing.assert_array_equal(made, make(like))


def test_depth_is_split_where_a_mesh_in_context_does_and_left_alone_elsewhere():
    devices, whole = mesh.make_mesh(2, 4), jnp.arange(24.0).reshape(2, 4, 3)
    assert collectives.split_depth(whole) is whole is collectives.collect_depth(whole)

    @jax.jit
    def lay(x):
        with jax.sharding.use_abstract_mesh(devices.abstract_mesh):
            # Over members too, as in ensembles, whose axis stands before that of the examples.
            members = jax.vmap(collectives.split_depth)(jnp.stack([x, 2 * x]))
            split = collectives.split_depth(x)
            return split, members, collectives.collect_depth(split)

    split, members, collected = lay(mesh.replicate(whole, devices))
    depths = [{shard.data.shape[-2] for shard in x.addressable_shards} for x in (split, members, collected)]
    assert depths == [{1}, {1}, {4}]
    for found, wanted in ((split, whole), (members[1], 2 * whole), (collected, whole)):
        np.testing.assert_array_equal(found, wanted)


def test_per_device_nothing_is_said_about_splitting():
    doubled = per_device(lambda x: collectives.split_alike(2 * x, x))
    np.testing.assert_array_equal(doubled(jnp.arange(8.0)), 2 * jnp.arange(8.0))
