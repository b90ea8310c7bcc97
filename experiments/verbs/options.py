"""Options of a run that do not change its result."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jaxmed.train.hosts import Hosts


@dataclass(frozen=True)
class MeshOptions:
    """How devices are arranged."""

    data: int = 0
    """Parts of the batch; 0 takes all devices."""

    space: int = 1
    """Parts of the first spatial axis of volumes."""


@dataclass(frozen=True)
class FaultOptions:
    """What is put up with, and for how long."""

    max_skipped: int = 10
    """Steps in a row that may lead to NaN or infinity; each leaves the state as it was."""

    max_bad_cases: int = 0
    """Training cases that may be left out because they cannot be read; in evaluation, none."""

    stall_seconds: float | None = None
    """End the process when no step finishes for so long; by default 1800 where there are several processes,
    and never where there is one."""


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

    hosts: Hosts = field(default_factory=Hosts)

    faults: FaultOptions = FaultOptions()

    compile: Literal["jit", "pmap"] = "jit"
    """One program for the whole mesh, or one per device."""

    steps_per_dispatch: int = 1
    """Steps that the devices do at a call; more than one where a step is so short that the host's work shows.
    The results are the same. Not for convolutions on CPUs, which are several times slower in a loop."""

    deterministic: bool = False
    """Compute the same bits every time: on GPUs at some cost, on CPUs whatever the number of cores."""

    input: Literal["auto", "tf", "threads"] = "auto"
    """What loads batches: tf.data, threads, or tf.data where TensorFlow is installed; the batches are the
    same."""

    resume: bool = True
    """Go on from the last checkpoint; otherwise earlier results of the run are set aside."""

    allow_cast: bool = False
    """Take a checkpoint whose arrays have other dtypes than the state, and cast them."""

    checkpoint_every: int = 500
    """Steps between checkpoints."""

    log_every: int = 10
    """Steps between lines of metrics.jsonl and metrics.csv."""

    tensorboard: bool = False
    """Also write TensorBoard events (needs tensorboardX)."""
