"""Every way of damaging a checkpoint that we could think of, and then random ones."""

import json
import os
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.train import manifest, mesh
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.train.checkpoint_errors import CheckpointError, DamagedError

_STEPS = (10, 20)


def make_state(step):
    rng = np.random.default_rng(step)
    net = {"kernel": rng.standard_normal((40, 30), np.float32), "bias": rng.standard_normal(30, np.float32)}
    return jax.tree.map(jnp.asarray, {"step": np.int32(step), "net": net})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved")
    with Checkpoints(directory, identity={"seed": 0}) as checkpoints:
        for step in _STEPS:
            checkpoints.save(step, make_state(step))
    return directory


@pytest.fixture
def copy(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "checkpoints"))


def resume(directory):
    """The step that a new start goes on from, after checking every value of it; None to start anew."""
    with Checkpoints(directory, identity={"seed": 0}) as checkpoints:
        step = checkpoints.latest_step()
        if step is not None:
            restored = checkpoints.restore(make_state(0), mesh.make_mesh(2))
            jax.tree.map(np.testing.assert_array_equal, restored, make_state(step))
    return step


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def largest_file(folder):
    return max(files_of(folder), key=lambda path: path.stat().st_size)


def flip_bit(path, position=0.5, bit=3):
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 1 << bit
    path.write_bytes(content)


def truncate(folder):
    path = largest_file(folder)
    path.write_bytes(path.read_bytes()[:-1])


def edit_manifest(folder):
    path = folder / manifest.FILE
    content = json.loads(path.read_text())
    content["manifest"]["identity"]["seed"] = 7
    path.write_text(json.dumps(content))


def halve_manifest(folder):
    path = folder / manifest.FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def half_write_manifest(folder):
    (folder / manifest.FILE).rename(folder / ".manifest.json")
    (folder / ".manifest.json").write_text('{"manifest": ')


def replace_by_empty_folder(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def delete_half(folder):
    for path in files_of(folder)[::2]:
        path.unlink()


def replace_by_link(folder):
    target = largest_file(folder)
    target.rename(folder.parent / "elsewhere")
    target.symlink_to(folder.parent / "elsewhere")


def replace_by_pipe(folder):
    (folder / manifest.FILE).unlink()
    os.mkfifo(folder / manifest.FILE)


def replace_by_file(folder):
    shutil.rmtree(folder)
    folder.write_text("")


def take_from_other_step(folder):
    shutil.rmtree(folder)
    shutil.copytree(folder.parent / str(_STEPS[0]), folder)


_DAMAGES = [
    (truncate, "bytes, not"),
    (lambda folder: flip_bit(largest_file(folder)), "has changed since it was written"),
    (lambda folder: largest_file(folder).unlink(), "is missing"),
    (delete_half, "is missing"),
    (replace_by_empty_folder, "manifest.json is missing"),
    (lambda folder: (folder / manifest.FILE).unlink(), "manifest.json is missing"),
    (halve_manifest, "manifest.json is not a manifest"),
    (half_write_manifest, "manifest.json is missing"),
    (edit_manifest, "manifest.json has changed since it was written"),
    (lambda folder: (folder / "new").write_text("x"), "new is not listed in manifest.json"),
    (replace_by_link, "is neither a file nor a folder"),
    (replace_by_pipe, "manifest.json is neither a file nor a folder"),
    (replace_by_file, "is not a folder"),
    (take_from_other_step, "manifest.json is of step 10"),
]
_DAMAGE_NAMES = [
    "truncated",
    "bit-flipped",
    "without its data file",
    "half-deleted",
    "an empty folder",
    "without manifest",
    "with half a manifest",
    "with a half-written temporary manifest",
    "with an edited manifest",
    "with a file too many",
    "with a link to elsewhere",
    "with a pipe for a manifest",
    "an empty file",
    "a copy of another step",
]


@pytest.mark.faults
@pytest.mark.parametrize(("damage", "reason"), _DAMAGES, ids=_DAMAGE_NAMES)
def test_damaged_latest_step_is_set_aside_for_the_one_before(
    copy, request, capfd, record_fault, damage, reason
):
    damage(copy / "20")
    assert resume(copy) == 10
    line = capfd.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith(f"damaged checkpoint in {copy}: 20 (")
    assert reason in line
    assert line.endswith("now damaged/20); the last good one is step 10\n")
    assert (copy / "damaged" / "20").exists()
    assert resume(copy) == 10
    assert capfd.readouterr().err == ""
    record_fault(
        f"4 latest checkpoint {request.node.callspec.id}", f"fell back to step 10: {reason}; kept aside"
    )


@pytest.mark.faults
def test_stray_folder_is_not_taken_for_the_latest_step(copy, capfd, record_fault):
    (copy / "99").mkdir()
    (copy / "31.orbax-checkpoint-tmp").mkdir()
    for name in ("notes", "007", "²", "-1"):
        (copy / name).mkdir()
    assert resume(copy) == 20
    assert capfd.readouterr().err.count("\n") == 1
    names = {path.name for path in copy.iterdir()}
    assert names == {"10", "20", "damaged", "notes", "007", "²", "-1"}
    assert {path.name for path in (copy / "damaged").iterdir()} == {"99"}
    record_fault("4 stray empty folder 99 and an unfinished save", "moved aside, deleted; step 20 restored")


@pytest.mark.faults
def test_all_damaged_is_said_and_training_can_begin_anew(copy, capfd, record_fault):
    for step in _STEPS:
        truncate(copy / str(step))
    assert resume(copy) is None
    line = capfd.readouterr().err
    assert line.endswith("now damaged/10); no checkpoint is left\n")
    with Checkpoints(copy, identity={"seed": 0}) as checkpoints:
        checkpoints.save(10, make_state(10))
    assert resume(copy) == 10
    record_fault("4 all checkpoints truncated", "none taken, both kept aside, and said so")


def test_copies_set_aside_never_replace_each_other(copy):
    for expected in ({"20"}, {"20", "20-1"}, {"20", "20-1", "20-2"}):
        truncate(copy / "20")
        assert resume(copy) == 10
        assert {path.name for path in (copy / "damaged").iterdir()} == expected
        with Checkpoints(copy, identity={"seed": 0}) as checkpoints:
            checkpoints.save(20, make_state(20))


def test_damaged_step_asked_for_by_number_is_refused(copy):
    truncate(copy / "10")
    with Checkpoints(copy, identity={"seed": 0}) as checkpoints:
        with pytest.raises(DamagedError, match=r"step 10 of .* does not verify: .* bytes, not"):
            checkpoints.restore(make_state(0), mesh.make_mesh(1), step=10)
        with pytest.raises(DamagedError, match=r"step 11 of .* does not verify: is not a folder"):
            checkpoints.restore(make_state(0), mesh.make_mesh(1), step=11)


def test_older_damaged_step_is_saved_again(copy):
    truncate(copy / "10")
    with Checkpoints(copy, identity={"seed": 0}) as checkpoints:
        checkpoints.save(10, make_state(10))
        checkpoints.wait()
        checkpoints.restore(make_state(0), mesh.make_mesh(1), step=10)
        assert checkpoints.latest_step() == 20
    assert (copy / "damaged" / "10").exists()


@pytest.mark.faults
def test_folder_that_appears_during_the_run_is_not_in_the_way(copy, record_fault):
    with Checkpoints(copy, identity={"seed": 0}) as checkpoints:
        assert checkpoints.latest_step() == 20
        (copy / "30").mkdir()
        checkpoints.save(30, make_state(30))
    assert resume(copy) == 30
    record_fault("4 stray folder in the place of the next step", "moved aside, step 30 saved and restored")


@pytest.mark.faults
def test_verified_files_that_orbax_cannot_read_give_one_line(copy, record_fault):
    """As with a checkpoint of a future orbax: files are what they were, and mean nothing here."""
    for path in files_of(copy / "20"):
        path.write_bytes(b"?")
    unsigned = manifest.describe(20, {"seed": 0}, read_leaves(copy / "10"))
    (copy / "20" / manifest.FILE).unlink()
    manifest.write(copy / "20", unsigned)
    with Checkpoints(copy, identity={"seed": 0}) as checkpoints:
        assert checkpoints.latest_step() == 20
        with pytest.raises(DamagedError, match=r"step 20 of .* cannot be read: ") as error:
            checkpoints.restore(make_state(0), mesh.make_mesh(1))
    assert "\n" not in str(error.value)
    record_fault("4 files that verify and that orbax cannot read", "DamagedError in one line")


def read_leaves(folder):
    return json.loads((folder / manifest.FILE).read_text())["manifest"]["leaves"]


@pytest.mark.faults
@pytest.mark.fuzz
def test_random_damage(saved, tmp_path, record_fault, request):
    """`python -m pytest -m fuzz` tries 1,000 mutations; any other run the first 40."""
    num_mutations = 1000 if "fuzz" in request.config.getoption("markexpr") else 40
    record_fault(*fuzz(saved, tmp_path, seed=20261123, num_mutations=num_mutations))


def fuzz(saved, tmp_path, seed, num_mutations):
    """Damages copies at random; each gives the right values, an earlier step or an error, nothing else."""
    rng, outcomes = np.random.default_rng(seed), {10: 0, 20: 0, "none": 0, "refused": 0}
    for number in range(num_mutations):
        directory = Path(shutil.copytree(saved, tmp_path / str(number)))
        for _ in range(int(rng.integers(1, 4))):
            mutate_checkpoint(directory, rng)
        try:
            outcomes[resume(directory) or "none"] += 1
        except CheckpointError:
            outcomes["refused"] += 1
        shutil.rmtree(directory)
    assert sum(outcomes.values()) == num_mutations
    assert outcomes[10] > 0
    assert outcomes[20] > 0
    told = ", ".join(f"{name}: {count}" for name, count in outcomes.items())
    return (
        f"4 {num_mutations} random mutations of checkpoints, seed {seed}",
        f"no wrong value; restored {told}",
    )


def mutate_checkpoint(directory, rng):
    """Changes one file of one of the two checkpoints."""
    paths = files_of(directory)
    if not paths:
        return
    path = paths[rng.integers(len(paths))]
    kind, size = rng.integers(8), path.stat().st_size
    if kind == 0 and size:
        flip_bit(path, rng.random(), int(rng.integers(8)))
    elif kind == 1:
        path.write_bytes(path.read_bytes()[: int(rng.integers(size + 1))])
    elif kind == 2:
        path.unlink()
    elif kind == 3:
        path.write_bytes(path.read_bytes() + rng.bytes(int(rng.integers(1, 100))))
    elif kind == 4:
        content, start = bytearray(path.read_bytes()), int(rng.integers(size + 1))
        content[start : start + 16] = bytes(len(content[start : start + 16]))
        path.write_bytes(content)
    elif kind == 5:
        paths[rng.integers(len(paths))].write_bytes(path.read_bytes())
    elif kind == 6:
        path.with_name(rng.bytes(4).hex()).write_bytes(rng.bytes(int(rng.integers(100))))
    else:
        path.unlink()
        path.mkdir()
