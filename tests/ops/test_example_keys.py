import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxmed import types
from jaxmed.ops import example_keys

KEY = jax.random.key(7)
BATCH = jnp.zeros((8, 3))


def draw(key, batch):
    keys = example_keys.example_keys(key, batch.shape[0])
    return jax.vmap(lambda k: jax.random.normal(k, (3,)))(keys) + batch


def mesh(shape, names):
    return jax.make_mesh(shape, names, axis_types=(AxisType.Auto,) * len(names))


def test_position_is_folded_into_the_key():
    keys = example_keys.example_keys(KEY, 4)
    expected = [jax.random.key_data(jax.random.fold_in(KEY, position)) for position in range(4)]
    np.testing.assert_array_equal(jax.random.key_data(keys), expected)


def test_keys_do_not_depend_on_the_batch_size():
    few, many = (jax.random.key_data(example_keys.example_keys(KEY, size)) for size in (3, 9))
    np.testing.assert_array_equal(few, many[:3])


def test_examples_draw_different_numbers():
    assert np.unique(draw(KEY, BATCH)).size == BATCH.size


def test_sharded_jit_draws_the_same_numbers():
    sharding = NamedSharding(mesh((4,), (types.DATA_AXIS,)), P(types.DATA_AXIS))
    sharded = jax.jit(draw)(KEY, jax.device_put(BATCH, sharding))
    np.testing.assert_array_equal(sharded, jax.jit(draw)(KEY, BATCH))


def test_shard_map_draws_the_same_numbers():
    spec = P(types.DATA_AXIS)
    mapped = jax.shard_map(draw, mesh=mesh((4,), (types.DATA_AXIS,)), in_specs=(P(), spec), out_specs=spec)
    np.testing.assert_array_equal(jax.jit(mapped)(KEY, BATCH), jax.jit(draw)(KEY, BATCH))


def test_shard_map_over_two_axes_counts_the_data_axis_only():
    spec = P(types.DATA_AXIS)
    mapped = jax.shard_map(
        draw,
        mesh=mesh((4, 2), (types.DATA_AXIS, types.SPACE_AXIS)),
        in_specs=(P(), spec),
        out_specs=spec,
        axis_names={types.DATA_AXIS},
    )
    np.testing.assert_array_equal(jax.jit(mapped)(KEY, BATCH), jax.jit(draw)(KEY, BATCH))


def test_shard_map_over_space_alone_uses_local_positions():
    spec = P(None, types.SPACE_AXIS)
    mapped = jax.shard_map(
        lambda key, batch: draw(key, jnp.zeros((8, 3))) + batch.sum(),
        mesh=mesh((2,), (types.SPACE_AXIS,)),
        in_specs=(P(), spec),
        out_specs=spec,
    )
    values = jax.jit(mapped)(KEY, jnp.zeros((8, 2)))
    np.testing.assert_array_equal(values[:, :3], jax.jit(draw)(KEY, BATCH))
