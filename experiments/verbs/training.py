"""Trains one state up to a step, from where it stands, with all that surrounds the loop."""

import contextlib
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from experiments.verbs import provenance
from experiments.verbs.errors import UserError
from experiments.verbs.options import RunOptions
from jaxmed.train import disk, fit, guard, hosts, logs, observers
from jaxmed.train import mesh as meshes
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.train.fit import Algorithm
from jaxmed.train.preemption import Preemption
from jaxmed.train.watchdog import Watchdog
from jaxmed.types import Batch

_STALL_SECONDS_OF_MANY = 1800.0
_MAX_TO_KEEP = 2
_MAX_NAMES = 64


class StoppedError(Exception):
    """A run was asked to stop, and has saved its state; the message says how it goes on."""


@dataclass(frozen=True)
class Task:
    """What is trained: a whole run, or one stage of it.

    Attributes:
        algorithm: the training method.
        start: `() -> state`, where to start; called only where there is no checkpoint.
        shapes: of that state.
        batches: `batches(first_step)`, as in `contract.Data`.
        describe: names the examples of a step, as in `contract.Data`.
        key: of the steps.
        num_steps: the step at which to end.
        identity: what a checkpoint must have been made from to be taken.
        folder: where the checkpoints lie.
        log_folder: where metrics and events are written.
        label: what the progress is of.
        stage: name of the stage, empty for a whole run.
    """

    algorithm: Algorithm
    start: Callable[[], Any]
    shapes: Any
    batches: Callable[[int], Generator[Mapping[str, np.ndarray], None, None]]
    describe: Callable[[int], Sequence[str]] | None
    key: jax.Array
    num_steps: int
    identity: Mapping[str, Any]
    folder: Path
    log_folder: Path
    label: str
    stage: str = ""


def train(task: Task, options: RunOptions, mesh: Mesh, preemption: Preemption) -> Any:
    """Trains, saving checkpoints on the way and at the end.

    Returns:
        The state at `task.num_steps`.

    Raises:
        StoppedError: if a signal asked the run to stop.
        NonFiniteError: after too many steps in a row with NaN; the examples of each are on standard error
            and in events.jsonl.
        UserError: if the state is beyond that step.
    """
    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(open_checkpoints(task.folder, task.identity))
        state = _initial_state(task, options, checkpoints, mesh)
        first_step = int(state.step)
        if first_step > task.num_steps:
            raise UserError(
                f"{task.folder} is at step {first_step} already, beyond the {task.num_steps} asked for; "
                f"--no-resume starts it anew and keeps the old one"
            )
        journal = _journal(task, first_step, mesh)
        state = fit.fit(
            _note_refreshes(task, journal),
            state,
            stack.enter_context(contextlib.closing(task.batches(first_step))),
            key=task.key,
            num_steps=task.num_steps,
            mesh=mesh,
            mode=options.compile,
            observers=_observers(task, options, checkpoints, first_step, stack),
            should_stop=preemption,
            skipped=guard.SkippedSteps(options.faults.max_skipped, note=_name_examples(journal, task)),
            steps_per_dispatch=options.steps_per_dispatch,
        )
        last_step = int(state.step)
        checkpoints.save(last_step, state)
    if journal is not None:
        journal.note("finished" if last_step >= task.num_steps else "stopped", last_step, **_stage(task))
    if last_step < task.num_steps:
        raise StoppedError(
            f"stopped after step {last_step} of {task.num_steps}, which is saved in {task.folder}; the same "
            f"command goes on from there"
        )
    return state


def open_checkpoints(folder: Path, identity: Mapping[str, Any]) -> Checkpoints:
    """The checkpoints of a run or of a stage."""
    return Checkpoints(folder / "checkpoints", identity=identity, max_to_keep=_MAX_TO_KEEP)


def make_keys(seed: int) -> tuple[jax.Array, jax.Array]:
    """Keys of the initial state and of the steps."""
    key_init, key_fit = jax.random.split(jax.random.key(seed))
    return key_init, key_fit


def start_anew(
    algorithm: Algorithm, key: jax.Array, examples: Batch, mesh: Mesh
) -> tuple[Callable[[], Any], Any]:
    """The first state of an algorithm, as a function that makes it and as its shapes.

    Args:
        algorithm: whose state.
        key: of the initial state.
        examples: `jax.ShapeDtypeStruct` by name: what a batch holds.
        mesh: where the state shall lie.
    """
    # As an argument: as a constant it would make another program, compiled anew, of every seed.
    bits, kind = np.asarray(jax.random.key_data(key)), jax.random.key_impl(key)

    def init(bits, batch):
        return algorithm.init(jax.random.wrap_key_data(bits, impl=kind), batch)

    def start() -> Any:
        zeros = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), dict(examples))
        # On CPUs LLVM takes seconds for each parameter to optimise draws that are made once.
        unoptimised = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
        start_program = jax.jit(init, out_shardings=meshes.replicated(mesh), compiler_options=unoptimised)
        return start_program(bits, zeros)

    return start, jax.eval_shape(init, bits, dict(examples))


def _initial_state(task: Task, options: RunOptions, checkpoints: Checkpoints, mesh: Mesh) -> Any:
    disk.check_output(task.folder / "checkpoints", task.shapes, max_to_keep=_MAX_TO_KEEP)
    if checkpoints.latest_step() is not None:
        return checkpoints.restore(task.shapes, mesh, cast=options.allow_cast)
    return task.start()


def _stage(task: Task) -> dict[str, str]:
    return {"stage": task.stage} if task.stage else {}


def _journal(task: Task, first_step: int, mesh: Mesh) -> logs.Journal | None:
    if not hosts.is_main_process():
        return None
    if first_step:
        print(f"going on from step {first_step} of {task.folder}", file=sys.stderr)
    journal = logs.Journal(task.log_folder)
    journal.note(
        "resumed" if first_step else "started",
        first_step,
        **_stage(task),
        commit=provenance.commit(),
        mesh=dict(mesh.shape),
        processes=jax.process_count(),
    )
    return journal


def _note_refreshes(task: Task, journal: logs.Journal | None) -> Algorithm:
    """The algorithm, with the time of each `refresh` in the journal, apart from that of the steps."""
    refresh = task.algorithm.refresh
    if journal is None or refresh is None:
        return task.algorithm

    def timed(state: Any) -> Any:
        step = int(jax.block_until_ready(state).step)
        started = time.monotonic()
        refreshed = jax.block_until_ready(refresh(state))
        journal.note("refreshed", step, **_stage(task), seconds=round(time.monotonic() - started, 3))
        return refreshed

    return task.algorithm._replace(refresh=timed)


def _name_examples(journal: logs.Journal | None, task: Task):
    def note(step: int) -> None:
        if journal is None:
            return
        examples = [] if task.describe is None else list(task.describe(step - 1))
        journal.note("skipped", step, **_stage(task), examples=examples)
        if examples:
            print(f"step {step} had the examples {', '.join(examples[:_MAX_NAMES])}", file=sys.stderr)

    return note


def _observers(
    task: Task, options: RunOptions, checkpoints: Checkpoints, first_step: int, stack: contextlib.ExitStack
) -> list[fit.Observer]:
    every = options.checkpoint_every
    watchers: list[fit.Observer] = [
        observers.SaveCheckpoints(checkpoints, every=every, num_steps=task.num_steps)
    ]
    seconds = options.faults.stall_seconds or (_STALL_SECONDS_OF_MANY if jax.process_count() > 1 else None)
    if seconds:
        watchers.append(stack.enter_context(contextlib.closing(Watchdog(seconds))))
    if hosts.is_main_process():
        bar = observers.ProgressBar(task.label, task.num_steps, every=options.log_every)
        stack.enter_context(contextlib.closing(bar))
        log = logs.MetricLog(
            task.log_folder, first_step=first_step, every=options.log_every, stage=task.stage
        )
        watchers += [observers.tolerate(bar), observers.tolerate(log)]
        watchers += _tensorboard(task, options, stack)
    return watchers


def _tensorboard(task: Task, options: RunOptions, stack: contextlib.ExitStack) -> list[fit.Observer]:
    if not options.tensorboard:
        return []
    try:
        events = observers.TensorBoard(task.folder, every=options.log_every)
    except ModuleNotFoundError as error:
        raise UserError(str(error)) from error
    return [observers.tolerate(stack.enter_context(contextlib.closing(events)))]
