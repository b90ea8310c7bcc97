"""Runs of several stages: each trained once, or once for several runs, and resumed where it was cut."""

import contextlib
import hashlib
import io
import os
import re
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from data_pipelines.readers import numpy_files
from data_pipelines.readers.errors import ReadError
from experiments.contract import Config, Data, Experiment
from experiments.verbs import configs, lock, provenance, training
from experiments.verbs.options import RunOptions
from jaxmed.train import hosts, logs
from jaxmed.train.agreement import ask_first
from jaxmed.train.fit import Algorithm
from jaxmed.train.preemption import Preemption

_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Place:
    """Where a run lives and what it is.

    Attributes:
        folder: of the run.
        shared: folder for what several runs of the paper share.
        identity: what the run's checkpoints must have been made from.
        source: name or path of the data.
        seed: of everything random.
        label: what the progress is of.
    """

    folder: Path
    shared: Path
    identity: Mapping[str, Any]
    source: str
    seed: int
    label: str


@dataclass
class RunStages:
    """The stages of one run; see `contract.Stages`."""

    place: Place
    options: RunOptions
    mesh: Mesh
    preemption: Preemption
    _names: set[str] = field(default_factory=set)

    def key(self, name: str) -> jax.Array:
        """See `contract.Stages.key`."""
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        return jax.random.fold_in(jax.random.key(self.place.seed), number)

    def fit(
        self,
        name: str,
        algorithm: Algorithm,
        batches: Callable[[int], Generator[Mapping[str, np.ndarray], None, None]],
        *,
        num_steps: int,
        example_batch: Mapping[str, Any] | None = None,
        state: Any = None,
        describe: Callable[[int], Sequence[str]] | None = None,
        shared: Config | None = None,
    ) -> Any:
        """See `contract.Stages.fit`."""
        self._take(name)
        if (example_batch is None) == (state is None):
            raise ValueError(f"stage '{name}' needs either an example batch or a state to start from")
        key_init, key_fit = jax.random.split(self.key(name))
        if example_batch is not None:
            start, shapes = training.start_anew(algorithm, key_init, example_batch, self.mesh)
        else:
            start, shapes = (lambda: _at_step_0(state)), jax.eval_shape(lambda: state)
        place = self._place(name, shared)
        task = training.Task(
            algorithm,
            start,
            shapes,
            batches,
            describe,
            key_fit,
            num_steps,
            {**place.identity, "stage": name},
            folder=place.folder,
            log_folder=self.place.folder if shared is None else place.folder,
            label=f"{self.place.label} {name}",
            stage=name,
        )
        with self._alone(place.folder, shared):
            finished = self._restore(task)
            if finished is not None:
                return finished
            return training.train(task, self.options, self.mesh, self.preemption)

    def keep(
        self, name: str, make: Callable[[], Mapping[str, Any]], *, shared: Config | None = None
    ) -> dict[str, np.ndarray]:
        """See `contract.Stages.keep`."""
        self._take(name)
        folder = self._place(name, shared).folder
        file = folder.with_name(f"{folder.name}.npz")
        with self._alone(file, shared):
            if not ask_first(lambda: _is_whole(file)):
                made = {key: np.asarray(value) for key, value in make().items()}
                if hosts.is_main_process():
                    _write(file, made)
                hosts.barrier(f"{file} is written")
            found = numpy_files.read_arrays(file)
        if self.preemption(0):
            raise training.StoppedError(
                f"stopped after '{name}', which is saved in {file}; the same command goes on from there"
            )
        return found

    def _take(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"the stage name '{name}' has other characters than letters, digits and .-_")
        if name in self._names:
            raise ValueError(f"the stage name '{name}' occurs twice")
        self._names.add(name)

    def _place(self, name: str, shared: Config | None) -> Place:
        """Where a stage lives: in the run's folder, or in one named after all that it depends on."""
        place = self.place
        if shared is None:
            return replace(place, folder=place.folder / "stages" / name)
        identity = {**place.identity, "config": configs.to_json(shared), "commit": provenance.commit()}
        identity.pop("preset")
        digest = configs.config_hash(shared, data_name=f"{place.source} {provenance.commit()}")
        folder = place.shared / f"{name}-{digest}" / f"seed{place.seed}"
        return replace(place, folder=folder, identity=identity)

    @contextlib.contextmanager
    def _alone(self, folder: Path, shared: Config | None) -> Generator[None, None, None]:
        """Keeps other runs away from what is shared."""
        with contextlib.ExitStack() as stack:
            folder.parent.mkdir(parents=True, exist_ok=True)
            if shared is not None and hosts.is_main_process():
                stack.enter_context(lock.hold(folder, wait=True))
            hosts.barrier(f"{folder} is there to be looked at")
            yield

    def _restore(self, task: training.Task) -> Any:
        """The state of a stage that is finished, or None."""
        with training.open_checkpoints(task.folder, task.identity) as checkpoints:
            if checkpoints.latest_step() != task.num_steps:
                return None
            return checkpoints.restore(task.shapes, self.mesh, cast=self.options.allow_cast)


def run(
    experiment: Experiment,
    config: Config,
    data: Data,
    place: Place,
    options: RunOptions,
    mesh: Mesh,
    preemption: Preemption,
) -> Any:
    """Carries out `experiment.run` and saves the state that it returns as the run's checkpoint.

    Raises:
        StoppedError: if a signal asked the run to stop; what is finished so far is saved.
        ValueError: if the state is not at the config's `num_steps`.
    """
    assert experiment.run is not None
    journal = logs.Journal(place.folder) if hosts.is_main_process() else None
    if journal is not None:
        journal.note("resumed" if journal.read() else "started", 0, commit=provenance.commit())
    state = experiment.run(config, data, RunStages(place, options, mesh, preemption))
    if int(state.step) != config.num_steps:
        raise ValueError(f"run ended at step {int(state.step)}, not at num_steps={config.num_steps}")
    with training.open_checkpoints(place.folder, place.identity) as checkpoints:
        checkpoints.save(config.num_steps, state)
    if journal is not None:
        journal.note("finished", config.num_steps)
    return state


def _at_step_0(state: Any) -> Any:
    """A copy, since the first step of training overwrites the state it gets."""

    def copy(path: Any, leaf: Any) -> Any:
        return jnp.zeros_like(leaf) if jax.tree_util.keystr(path) == ".step" else jnp.copy(leaf)

    return jax.tree_util.tree_map_with_path(copy, state)


def _is_whole(file: Path) -> bool:
    if not file.exists():
        return False
    try:
        numpy_files.read_arrays(file)
    except ReadError as error:
        print(f"{error}; made again", file=sys.stderr)
        return False
    return True


def _write(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(file)
