"""Checkpoints of the whole training state, written by orbax behind the running steps and verified."""

import dataclasses
import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from jaxmed.train import checkpoint_folder, checkpoint_leaves
from jaxmed.train import manifest as manifests
from jaxmed.train import mesh as meshes
from jaxmed.train.agreement import ask_first
from jaxmed.train.checkpoint_errors import CheckpointError, DamagedError, DiskError, ForeignError
from jaxmed.train.manifest import Manifest


class Checkpoints:
    """The checkpoints of one run in one folder, one sub-folder per step.

    A save is asynchronous: the arrays are copied to the host before `save` returns and written while
    training goes on. When orbax has committed them, every file is hashed and a manifest is written; a step
    without a manifest that verifies is no checkpoint. Older steps are deleted only then. A process that
    is killed at any moment leaves the earlier steps whole.

    With many processes on a shared disk, all call the same methods in the same order. Each writes its part
    of the arrays; the first one verifies, moves and deletes, and writes the manifest. An error of a save
    appears where it happened and must end the run.
    """

    def __init__(
        self,
        directory: Path,
        *,
        identity: Mapping[str, Any] | None = MappingProxyType({}),
        max_to_keep: int = 2,
    ):
        """Opens `directory`, which is made if it is not there.

        Args:
            directory: the folder of this run's checkpoints.
            identity: what tells this run from others, such as its config, seed and data: anything that JSON
                can hold. Checkpoints with another identity are refused. None opens the folder for reading
                only, whatever run it is of: nothing is moved or made, and `save` is refused.
            max_to_keep: how many of the latest are kept.

        Raises:
            DiskError: if the folder cannot be made.
            ValueError: if `max_to_keep` is less than 1.
        """
        if max_to_keep < 1:
            raise ValueError(f"max_to_keep={max_to_keep} must be at least 1")
        self._directory = Path(directory).absolute()
        self._identity = None if identity is None else json.loads(json.dumps(dict(identity)))
        self._max_to_keep = max_to_keep
        self._latest: Manifest | None = None
        self._is_searched = False
        if identity is not None:
            _make_folder(self._directory)
        self._orbax = _make_orbax()
        self._thread = ThreadPoolExecutor(1, "manifest")
        self._saving: Future[Manifest] | None = None

    def latest_step(self) -> int | None:
        """The step of the latest checkpoint of which every file verifies, or None.

        The first call reads all files of that checkpoint; later steps that do not verify are moved to
        `damaged/` in the folder, and a line on standard error says so.
        """
        self.wait()
        if not self._is_searched:
            found = ask_first(self._search)
            self._latest, self._is_searched = found and Manifest(**found), True
        return None if self._latest is None else self._latest.step

    def save(self, step: int, state: Any) -> None:
        """Saves `state` as `step`; does nothing where that step is saved already.

        Raises:
            NotFiniteError: if `state` holds NaN or infinity.
            ForeignError: if the folder holds checkpoints of another run.
            CheckpointError: if the save before this one has failed, or this one cannot begin.
        """
        if self._identity is None:
            raise CheckpointError(f"{self._directory} is open for reading only")
        if self._is_saved(step):
            return
        if self._latest is not None:
            self._refuse_foreign(self._latest)
        leaves = checkpoint_leaves.name_leaves(state)
        checkpoint_leaves.refuse_not_finite(f"step {step}", leaves)
        manifest = manifests.describe(step, self._identity, checkpoint_leaves.describe_leaves(leaves))
        folder = self._directory / str(step)
        try:
            if jax.process_index() == 0 and folder.exists():
                checkpoint_folder.set_aside(folder)
            # By name, since orbax would mix up {"a.b": x} and {"a": {"b": y}}; it takes no empty arrays.
            arrays = {name: leaf for name, leaf in leaves.items() if leaf.size}
            self._orbax.save(folder, args=ocp.args.PyTreeSave(arrays))
        except Exception as error:
            raise self._failed(step, error) from error
        self._saving = self._thread.submit(self._finish, manifest)

    def restore(self, like: Any, mesh: Mesh, *, step: int | None = None, cast: bool = False) -> Any:
        """Reads a checkpoint onto `mesh`, whatever mesh and number of processes it was written from.

        Args:
            like: a state, or its shapes, of the tree that was saved.
            mesh: where the arrays are put, replicated.
            step: which checkpoint; the latest by default.
            cast: convert leaves that were saved with another dtype than `like` has.

        Returns:
            The state.

        Raises:
            ForeignError: if the checkpoint has another identity, naming what differs.
            MismatchError: if it has other leaves, shapes or, without `cast`, dtypes, naming them.
            DamagedError: if `step` is asked for and does not verify.
            CheckpointError: if there is none.
        """
        manifest = self._manifest(step)
        self._refuse_foreign(manifest)
        leaves = checkpoint_leaves.name_leaves(like)
        checkpoint_leaves.refuse_mismatch(
            f"step {manifest.step} of {self._directory}",
            manifest.leaves,
            checkpoint_leaves.describe_leaves(leaves),
            cast=cast,
        )
        arrays = self._read(manifest.step, leaves, mesh)
        return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in leaves])

    def wait(self) -> None:
        """Waits for the save under way.

        Raises:
            CheckpointError: if it failed; the checkpoints before it are whole.
        """
        saving, self._saving = self._saving, None
        if saving is not None:
            saved = saving.result()
            if self._latest is None or saved.step >= self._latest.step:
                self._latest = saved

    def close(self) -> None:
        """Waits for the save under way and ends.

        Raises:
            CheckpointError: if that save failed.
        """
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            self._orbax.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: object, exception: BaseException | None, trace: object) -> None:
        try:
            self.close()
        except CheckpointError as error:
            if exception is None:
                raise
            exception.add_note(str(error))

    def _search(self) -> dict[str, Any] | None:
        try:
            found = checkpoint_folder.find_latest(self._directory, repair=self._identity is not None)
        except OSError as error:
            raise DiskError(f"{self._directory} cannot be searched for checkpoints: {error}") from error
        return found and dataclasses.asdict(found)

    def _is_saved(self, step: int) -> bool:
        latest = self.latest_step()
        if latest is None or step >= latest:
            return step == latest
        return ask_first(lambda: self._verifies(step))

    def _verifies(self, step: int) -> bool:
        try:
            self._verify(step)
        except DamagedError:
            return False
        return True

    def _verify(self, step: int) -> Manifest:
        try:
            return manifests.verify(self._directory / str(step), step)
        except DamagedError as error:
            raise DamagedError(f"step {step} of {self._directory} does not verify: {error}") from error

    def _manifest(self, step: int | None) -> Manifest:
        latest = self.latest_step()
        if self._latest is not None and step in (None, latest):
            return self._latest
        if step is None:
            raise CheckpointError(f"{self._directory} holds no checkpoint")
        return Manifest(**ask_first(lambda: dataclasses.asdict(self._verify(step))))

    def _refuse_foreign(self, manifest: Manifest) -> None:
        if self._identity is None:
            return
        different = checkpoint_leaves.find_differences(manifest.identity, self._identity)
        if different:
            raise ForeignError(f"{self._directory} holds checkpoints of another run: {'; '.join(different)}")

    def _read(self, step: int, leaves: dict[str, Any], mesh: Mesh) -> dict[str, jax.Array]:
        sharding = meshes.replicated(mesh)
        target = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
            for name, leaf in leaves.items()
            if leaf.size
        }
        arguments = ocp.args.PyTreeRestore(
            target, restore_args=ocp.checkpoint_utils.construct_restore_args(target)
        )
        try:
            arrays = self._orbax.restore(self._directory / str(step), args=arguments)
        except Exception as error:
            line = _first_line(error)
            raise DamagedError(f"step {step} of {self._directory} cannot be read: {line}") from error
        empty = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in leaves.items() if not leaf.size}
        return arrays | jax.device_put(empty, sharding)

    def _finish(self, manifest: Manifest) -> Manifest:
        """Runs behind the training steps, in the thread `manifest`."""
        try:
            self._orbax.wait_until_finished()
            if jax.process_index() == 0:
                manifest = manifests.write(self._directory / str(manifest.step), manifest)
                checkpoint_folder.keep_newest(self._directory, manifest.step, self._max_to_keep)
        except Exception as error:
            if jax.process_index() == 0:
                checkpoint_folder.discard(self._directory, manifest.step)
            raise self._failed(manifest.step, error) from error
        return manifest

    def _failed(self, step: int, error: Exception) -> CheckpointError:
        return DiskError(
            f"step {step} could not be saved to {self._directory}: {_first_line(error)}; "
            f"checkpoints saved before are untouched"
        )


def _make_orbax() -> ocp.AsyncCheckpointer:
    # Compression takes more processor time from the steps than it saves space: weights are noise. Where a
    # folder that is to be made in the background cannot be made, orbax's other threads wait for minutes.
    return ocp.AsyncCheckpointer(
        ocp.PyTreeCheckpointHandler(use_compression=False),
        async_options=ocp.options.AsyncOptions(create_directories_asynchronously=False),
    )


def _make_folder(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"checkpoints cannot be written to {directory}: {error.strerror}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
