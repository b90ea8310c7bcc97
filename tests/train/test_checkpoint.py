import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from jax.sharding import NamedSharding, PartitionSpec

from jaxmed.train import checkpoint_errors, manifest, mesh
from jaxmed.train.checkpoint import Checkpoints


@struct.dataclass
class Nested:
    step: jax.Array
    moments: tuple


def make_state(step=3):
    return {"step": jnp.asarray(step, jnp.int32), "net": {"kernel": jnp.arange(8.0) + step, "empty": {}}}


def save(directory, *states, **options):
    with Checkpoints(directory, **options) as checkpoints:
        for state in states:
            checkpoints.save(int(state["step"]), state)


def restore(directory, like, *, devices=1, step=None, cast=False, **options):
    with Checkpoints(directory, **options) as checkpoints:
        return checkpoints.restore(like, mesh.make_mesh(devices), step=step, cast=cast)


def test_state_comes_back_bit_for_bit_on_another_mesh(tmp_path):
    save(tmp_path, jax.device_put(make_state(), mesh.replicated(mesh.make_mesh(4))))
    restored = restore(tmp_path, jax.eval_shape(make_state), devices=2)
    chex.assert_trees_all_equal(restored, make_state())
    assert restored["net"]["kernel"].sharding.num_devices == 2


@pytest.mark.faults
@pytest.mark.parametrize(
    "partition", [PartitionSpec(), PartitionSpec("data"), PartitionSpec("data", "space")]
)
def test_resharded_to_other_device_counts_with_the_same_values(tmp_path, record_fault, partition):
    values = np.random.default_rng(0).standard_normal((16, 6)).astype(np.float32)
    shapes = [(1, 1), (8, 1), (4, 2)]
    for data, space in shapes:
        grid = mesh.make_mesh(data, space)
        array = jax.device_put(values, NamedSharding(grid, partition))
        folder = tmp_path / f"{data}x{space}"
        save(folder, {"step": jax.device_put(1, mesh.replicated(grid)), "array": array})
        for other in shapes:
            with Checkpoints(folder) as checkpoints:
                like = {"step": jnp.asarray(0), "array": jax.ShapeDtypeStruct((16, 6), np.float32)}
                restored = checkpoints.restore(like, mesh.make_mesh(*other))["array"]
            np.testing.assert_array_equal(restored, values)
            assert restored.sharding.num_devices == other[0] * other[1]
    record_fault(
        f"6 state split as {partition}, written and read on 1, 8 and 4x2 devices",
        f"{len(shapes) ** 2} pairs, all values equal",
    )


def test_saved_arrays_are_those_of_the_moment_of_saving(tmp_path):
    """A donated buffer is overwritten by the next step while the save may still be under way."""
    grow = jax.jit(lambda x: x + 1, donate_argnums=0)
    array = jnp.zeros((512, 512))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"step": jnp.asarray(1), "array": array})
        for _ in range(5):
            array = grow(array)
        jax.block_until_ready(array)
    restored = restore(tmp_path, {"step": jnp.asarray(0), "array": jnp.ones((512, 512))})
    np.testing.assert_array_equal(restored["array"], 0)


def test_dtypes_and_containers_survive(tmp_path):
    """Empty arrays too, which orbax does not take, and names that it would mix up."""
    moments = (jnp.ones(3, jnp.bfloat16), {"a.b": jnp.asarray(True), "none": None}, jnp.zeros((0, 2)), {})
    state = Nested(step=jnp.asarray(7, jnp.int32), moments=moments)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, state)
        restored = checkpoints.restore(jax.eval_shape(lambda: state), mesh.make_mesh(2))
    chex.assert_trees_all_equal(restored, state)
    chex.assert_trees_all_equal_dtypes(restored, state)


def test_leaves_of_one_name_are_refused(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        state = {"a.b": jnp.ones(1), "a": {"b": jnp.zeros(1)}}
        with pytest.raises(checkpoint_errors.MismatchError, match=r"two leaves are called a\.b"):
            checkpoints.save(1, state)


def test_only_the_latest_are_kept_and_steps_can_be_chosen(tmp_path):
    with Checkpoints(tmp_path, max_to_keep=2) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, make_state(step))
        assert checkpoints.latest_step() == 3
    assert int(restore(tmp_path, jax.eval_shape(make_state), step=2)["step"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]


def test_number_to_keep_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="max_to_keep=0 must be at least 1"):
        Checkpoints(tmp_path, max_to_keep=0)


def test_going_on_from_an_older_step_keeps_what_it_saves(tmp_path):
    save(tmp_path, make_state(1), make_state(9))
    save(tmp_path, make_state(4), max_to_keep=1)
    assert int(restore(tmp_path, jax.eval_shape(make_state), step=4)["step"]) == 4


def test_empty_folder_holds_no_checkpoint(tmp_path):
    with Checkpoints(tmp_path / "new") as checkpoints:
        assert checkpoints.latest_step() is None
        with pytest.raises(checkpoint_errors.CheckpointError, match="holds no checkpoint"):
            checkpoints.restore(make_state(), mesh.make_mesh(1))


@pytest.mark.faults
def test_saved_step_is_not_saved_again(tmp_path, record_fault):
    save(tmp_path, make_state(2), make_state(3))
    for step in (2, 3):
        before = (tmp_path / str(step) / "manifest.json").stat()
        other = {**make_state(step), "net": {"kernel": jnp.zeros(8), "empty": {}}}
        save(tmp_path, other)
        after = (tmp_path / str(step) / "manifest.json").stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    chex.assert_trees_all_equal(restore(tmp_path, make_state()), make_state())
    record_fault("saving a step that is saved already", "files untouched, first values restored")


@pytest.mark.faults
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.complex64])
def test_state_that_is_not_finite_is_never_saved(tmp_path, record_fault, value, dtype):
    good = {"step": jnp.asarray(1), "net": {"kernel": jnp.ones(8, dtype)}}
    bad = {"step": jnp.asarray(2), "net": {"kernel": good["net"]["kernel"].at[5].set(value)}}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, good)
        with pytest.raises(checkpoint_errors.NotFiniteError) as error:
            checkpoints.save(2, bad)
        assert checkpoints.latest_step() == 1
    assert str(error.value) == "step 2 is not saved: NaN or infinity in net.kernel"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    record_fault(f"7 {value} in a {np.dtype(dtype).name} leaf of the state to save", str(error.value))


@pytest.mark.faults
def test_checkpoint_of_another_config_is_refused(tmp_path, record_fault):
    config = {"model": {"width": 8, "rates": (1, 2)}, "batch_size": 4}
    save(tmp_path, make_state(), identity={"config": config, "seed": 0})
    assert int(restore(tmp_path, make_state(), identity={"seed": 0, "config": config})["step"]) == 3
    other = {"config": {"model": {"width": 16, "rates": [1, 2]}}, "seed": 0, "data": "phantom"}
    phrases = (
        "config.batch_size is 4 there and absent here; config.model.width is 8 there and 16 here; "
        'data is absent there and "phantom" here'
    )
    with pytest.raises(checkpoint_errors.ForeignError) as error:
        restore(tmp_path, make_state(), identity=other)
    assert str(error.value) == f"{tmp_path} holds checkpoints of another run: {phrases}"
    with pytest.raises(checkpoint_errors.ForeignError, match="holds checkpoints of another run"):
        save(tmp_path, make_state(4), identity=other)
    assert [path.name for path in tmp_path.iterdir()] == ["3"]
    record_fault("5 checkpoint of another config, restored and saved over", f"refused: {phrases}")


def test_folder_is_read_whatever_run_it_is_of(tmp_path):
    save(tmp_path, make_state(), identity={"seed": 1})
    chex.assert_trees_all_equal(restore(tmp_path, make_state(), identity=None), make_state())
    with (
        Checkpoints(tmp_path, identity=None) as checkpoints,
        pytest.raises(checkpoint_errors.CheckpointError, match="reading only"),
    ):
        checkpoints.save(4, make_state(4))


def test_reader_makes_and_moves_nothing(tmp_path, capfd):
    """It may look while another process is in the middle of a save."""
    assert Checkpoints(tmp_path / "none", identity=None).latest_step() is None
    save(tmp_path, make_state())
    (tmp_path / "9").mkdir()
    (tmp_path / "10.orbax-checkpoint-tmp").mkdir()
    with Checkpoints(tmp_path, identity=None) as checkpoints:
        assert checkpoints.latest_step() == 3
    assert {path.name for path in tmp_path.iterdir()} == {"3", "9", "10.orbax-checkpoint-tmp"}
    assert "9 (manifest.json is missing" in capfd.readouterr().err


def test_identity_must_be_json(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        Checkpoints(tmp_path, identity={"model": object()})


@pytest.mark.faults
def test_another_dtype_is_refused_unless_asked_for(tmp_path, record_fault):
    save(tmp_path, make_state())
    half = {"step": jnp.asarray(0), "net": {"kernel": jnp.zeros(8, jnp.bfloat16), "empty": {}}}
    with pytest.raises(checkpoint_errors.MismatchError) as error:
        restore(tmp_path, half)
    assert str(error.value).endswith("has another dtype: net.kernel is float32, wanted bfloat16")
    restored = restore(tmp_path, half, cast=True)
    assert restored["net"]["kernel"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(restored["net"]["kernel"], np.arange(8.0) + 3)
    record_fault("5 checkpoint of another dtype", f"refused: ...{str(error.value)[-60:]}; cast where asked")


@pytest.mark.faults
@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ({"kernel": np.zeros((8, 1), np.float32)}, "another shape: net.kernel is [8], wanted [8, 1]"),
        ({"weight": np.zeros(8, np.float32)}, "it lacks net.weight, and has net.kernel"),
        ({}, "it lacks nothing, and has net.kernel"),
        (
            {"kernel": np.zeros(8, np.float32), **{f"more{i}": np.zeros(1) for i in range(7)}},
            "it lacks net.more0, net.more1, net.more2, net.more3, net.more4 and 2 more, and has nothing",
        ),
    ],
)
def test_other_leaves_are_refused_by_name(tmp_path, record_fault, kernel, message):
    save(tmp_path, make_state())
    with pytest.raises(checkpoint_errors.MismatchError) as error:
        restore(tmp_path, {"step": jnp.asarray(0), "net": kernel})
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    record_fault(f"5 state with {len(kernel)} other leaves than its checkpoint", message)


def test_checkpoint_is_hashed_once_per_start(tmp_path, monkeypatch):
    save(tmp_path, make_state(1), make_state(2))
    calls = []
    with Checkpoints(tmp_path) as checkpoints:
        verify = manifest.verify
        monkeypatch.setattr(
            manifest, "verify", lambda folder, step: calls.append(step) or verify(folder, step)
        )
        assert checkpoints.latest_step() == 2
        checkpoints.restore(make_state(), mesh.make_mesh(1))
        checkpoints.save(2, make_state(2))
        assert checkpoints.latest_step() == 2
    assert calls == [2]


def test_error_of_the_training_is_not_hidden_by_an_error_of_the_save(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifest, "write", fail)
    with pytest.raises(ZeroDivisionError) as error, Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, make_state(1))
        raise ZeroDivisionError
    assert "step 1 could not be saved" in error.value.__notes__[0]
