"""Options of a run that do not change its result."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class MeshOptions:
    """How devices are arranged."""

    data: int = 0
    """Parts of the batch; 0 takes all devices."""

    space: int = 1
    """Parts of the first spatial axis of volumes."""


@dataclass(frozen=True)
class RunOptions:
    """Where a run lives and how it is carried out."""

    workdir: Path = Path("runs")
    """Folder for runs and tables."""

    data_dir: Path | None = None
    """Real data; without it the built-in phantom is used."""

    cache_dir: Path | None = None
    """Folder for preprocessed data; <workdir>/cache by default."""

    mesh: MeshOptions = MeshOptions()

    compile: Literal["jit", "pmap"] = "jit"
    """One program for the whole mesh, or one per device."""

    input: Literal["auto", "tf", "threads"] = "auto"
    """What loads batches: tf.data, threads, or tf.data where TensorFlow is installed; the batches are the
    same."""

    resume: bool = True
    """Go on from the last checkpoint; otherwise earlier results of the run are set aside."""

    checkpoint_every: int = 500
    """Steps between checkpoints."""

    log_every: int = 10
    """Steps between lines of metrics.jsonl and metrics.csv."""

    tensorboard: bool = False
    """Also write TensorBoard events (needs tensorboardX)."""
