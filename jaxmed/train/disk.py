"""Looks at the disk before a run starts, so that a full or read-only one is found before the first step."""

import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jax

from jaxmed.train import checkpoint_folder
from jaxmed.train.checkpoint_errors import DiskError


def state_bytes(state: Any) -> int:
    """Bytes of all arrays of a state, or of its shapes; its checkpoint takes little more."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


def check_output(directory: Path, state_shapes: Any, max_to_keep: int = 2) -> None:
    """Makes sure that the checkpoints of a run can be written.

    A file is written, flushed and deleted again. The free space must hold `max_to_keep + 1` states,
    since the oldest is deleted only after the newest is whole; checkpoints that are there already are
    counted among them, but there must be space for one state more.

    Args:
        directory: the folder of the checkpoints, made if it is not there.
        state_shapes: the state or its shapes.
        max_to_keep: how many checkpoints stay.

    Raises:
        DiskError: if the folder cannot be written or its disk has too little space.
    """
    directory = Path(directory).absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _probe(directory)
        free, present = shutil.disk_usage(directory).free, _steps_bytes(directory)
    except OSError as error:
        raise DiskError(f"checkpoints cannot be written to {directory}: {error.strerror or error}") from error
    size = state_bytes(state_shapes)
    needed = max((max_to_keep + 1) * size - present, size)
    if free < needed:
        raise DiskError(
            f"too little space for checkpoints in {directory}: {free:,} bytes free, {needed:,} bytes needed "
            f"for {max_to_keep + 1} states of {size:,} bytes"
        )


def _probe(directory: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".probe-") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())


def _steps_bytes(directory: Path) -> int:
    folders = (directory / str(step) for step in checkpoint_folder.list_steps(directory))
    return sum(path.lstat().st_size for folder in folders for path in folder.rglob("*") if not path.is_dir())
