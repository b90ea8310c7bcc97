"""Checkpoints of the whole training state, written by orbax behind the running steps."""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from jaxmed.train import mesh as meshes


class Checkpoints:
    """The checkpoints of one run in one folder, one sub-folder per step.

    A save is asynchronous: the arrays are copied to the host before `save` returns and written while
    training goes on. A process that is killed while writing leaves the earlier steps whole.
    """

    def __init__(self, directory: Path, *, max_to_keep: int = 2):
        """Opens `directory`, which is made if it is not there.

        Args:
            directory: the folder of this run's checkpoints.
            max_to_keep: how many of the latest are kept.
        """
        options = ocp.CheckpointManagerOptions(max_to_keep=max_to_keep, create=True)
        self._manager = ocp.CheckpointManager(Path(directory).absolute(), options=options)

    def latest_step(self) -> int | None:
        """The step of the latest finished checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any) -> None:
        """Saves `state` as `step`; does nothing where that step is saved already."""
        if step != self.latest_step():
            self._manager.save(step, args=ocp.args.StandardSave(state))

    def restore(self, like: Any, mesh: Mesh, *, step: int | None = None) -> Any:
        """Reads a checkpoint onto `mesh`, whatever mesh it was written from.

        Args:
            like: a state, or its shapes, of the tree that was saved.
            mesh: where the arrays are put, replicated.
            step: which checkpoint; the latest by default.

        Returns:
            The state.

        Raises:
            FileNotFoundError: if there is none.
        """
        step = self.latest_step() if step is None else step
        if step is None:
            raise FileNotFoundError(f"{self._manager.directory} holds no checkpoint")
        sharding = meshes.replicated(mesh)
        target = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(target))

    def close(self) -> None:
        """Waits for saves under way."""
        self._manager.wait_until_finished()
        self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
