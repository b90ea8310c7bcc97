"""One training run: its folder, its training, its result."""

import contextlib
import functools
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from experiments.contract import PHANTOM, Config, Data, Experiment
from experiments.verbs import configs, errors, lock, papers, provenance, stages, training
from experiments.verbs.options import RunOptions
from jaxmed.train import fit, hosts, logs, mesh
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.train.preemption import Preemption
from jaxmed.types import DATA_AXIS, SPACE_AXIS

_RESULT = "result.json"


@dataclass(frozen=True)
class RunName:
    """What identifies a run: paper, preset, config and seed."""

    paper: str
    preset: str
    config: Config
    seed: int


def data_name(experiment: Experiment, config: Config, options: RunOptions) -> str:
    """The name under which results state their data."""
    if options.data_dir is not None:
        return options.data_dir.resolve().name
    return PHANTOM if experiment.data_name is None else experiment.data_name(config)


def run_folder(name: RunName, options: RunOptions) -> Path:
    """`<workdir>/<paper>/<label>-<hash>/seed<seed>`, where the hash is of the config and the data."""
    preset_config = papers.find_preset(papers.find_paper(name.paper), name.preset)
    label = configs.label(name.preset, preset_config, name.config)
    digest = configs.config_hash(name.config, data_name=_source(options))
    return options.workdir / name.paper / f"{label}-{digest}" / f"seed{name.seed}"


def _source(options: RunOptions) -> str:
    return PHANTOM if options.data_dir is None else str(options.data_dir.resolve())


def is_finished(folder: Path, num_steps: int) -> bool:
    """Tells whether the run has been trained for `num_steps` steps or more, and evaluated."""
    return (folder / _RESULT).exists() and read_result(folder).get("steps", -1) >= num_steps


def read_result(folder: Path) -> dict[str, Any]:
    """The result of a finished run."""
    return json.loads((folder / _RESULT).read_text())


def run(name: RunName, options: RunOptions, *, num_steps: int | None = None) -> Path:
    """Trains and evaluates a run, or goes on with it; a finished one is left as it is.

    Args:
        name: which run.
        options: where and how.
        num_steps: the step at which to end; the config's by default. A run that ended earlier goes on.

    Returns:
        The run's folder, with config.json, metrics.jsonl, metrics.csv, events.jsonl, result.json and
        checkpoints.

    Raises:
        StoppedError: if a signal asked the run to stop; its state is saved.
        UserError: if another process works in the folder, or `num_steps` is given for a run of several
            stages.
    """
    folder = run_folder(name, options)
    if num_steps is not None and papers.find_paper(name.paper).run is not None:
        raise errors.UserError(f"{name.paper} has several stages: change its config instead of --steps")
    last_step: int = name.config.num_steps if num_steps is None else num_steps
    with lock.hold(folder) if hosts.is_main_process() else contextlib.nullcontext():
        if hosts.is_main_process() and not options.resume:
            set_aside(folder)
        hosts.barrier(f"{folder} is there to be looked at")
        if not is_finished(folder, last_step):
            _carry_out(name, options, folder, last_step)
        hosts.barrier(f"{folder} is finished")
    return folder


def _carry_out(name: RunName, options: RunOptions, folder: Path, num_steps: int) -> None:
    started = time.monotonic()
    experiment = papers.find_paper(name.paper)
    devices = make_mesh(name, options)
    identity = {**_identity(name), "data": data_name(experiment, name.config, options)}
    folder.mkdir(parents=True, exist_ok=True)
    if hosts.is_main_process():
        write_json(folder / "config.json", identity)
    data = make_data(experiment, name, options)
    # Signals are heard until the last checkpoint is written.
    with Preemption() as preemption:
        if experiment.run is None:
            task = _task(name, data, num_steps, identity, folder, devices)
            state = training.train(task, options, devices, preemption)
        else:
            shared = options.workdir / name.paper / "shared"
            place = stages.Place(folder, shared, identity, _source(options), name.seed, name.paper)
            state = stages.run(experiment, name.config, data, place, options, devices, preemption)
    scores = experiment.evaluate(name.config, state, data)
    if hosts.is_main_process():
        result = {
            **identity,
            **provenance.describe(),
            "steps": int(state.step),
            "skipped_steps": _skipped_steps(folder),
            "bad_cases": list(data.bad_cases),
            "deterministic": options.deterministic,
            "seconds": round(time.monotonic() - started, 1),
            **_refresh_seconds(folder),
        }
        write_json(folder / _RESULT, {**result, "scores": scores})


def _task(
    name: RunName, data: Data, num_steps: int, identity: dict[str, Any], folder: Path, devices: Mesh
) -> training.Task:
    """The training of a run that has one stage."""
    experiment = papers.find_paper(name.paper)
    algorithm = experiment.make_algorithm(name.config, data)
    key_init, key_fit = training.make_keys(name.seed)
    examples = experiment.example_batch(name.config)
    start, shapes = training.start_anew(algorithm, key_init, examples, devices)
    return training.Task(
        algorithm,
        start,
        shapes,
        data.batches,
        data.describe,
        key_fit,
        num_steps,
        identity,
        folder,
        folder,
        label=name.paper,
    )


def _refresh_seconds(folder: Path) -> dict[str, float]:
    """How much of the time, over all starts of the run, went into `refresh`; nothing where there is none."""
    seconds = [event["seconds"] for event in logs.Journal(folder).read() if event["event"] == "refreshed"]
    return {"refresh_seconds": round(sum(seconds), 1)} if seconds else {}


def _skipped_steps(folder: Path) -> list[int | str]:
    """The steps whose update was not taken, each once however often the run was resumed.

    A run of several stages names the stage too: "<stage> <step>".
    """
    events = [event for event in logs.Journal(folder).read() if event["event"] == "skipped"]
    found = sorted({(event.get("stage", ""), event["step"]) for event in events})
    return [f"{stage} {step}" if stage else step for stage, step in found]


def set_aside(folder: Path) -> None:
    """Renames an earlier run's folder to the first free `<name>-old<k>`."""
    if folder.exists():
        number = 1
        while (target := folder.with_name(f"{folder.name}-old{number}")).exists():
            number += 1
        folder.rename(target)


def make_mesh(name: RunName, options: RunOptions) -> Mesh:
    """The mesh of the options for a run.

    Raises:
        UserError: if there are too few devices, the batch does not divide over them, they do not suit the
            processes, or depth is to be split and the batches have none.
    """
    try:
        devices = mesh.make_mesh(options.mesh.data, options.mesh.space)
    except ValueError as error:
        raise errors.UserError(str(error)) from error
    parts = devices.shape[DATA_AXIS]
    if name.config.batch_size % parts:
        raise errors.UserError(
            f"--batch-size {name.config.batch_size} does not divide over {parts} parts of the data axis; "
            f"change it or --mesh.data"
        )
    _check_processes(devices)
    if options.compile == "pmap" and options.mesh.space > 1:
        raise errors.UserError(f"--compile pmap needs --mesh.space 1, not {options.mesh.space}")
    if options.mesh.space > 1:
        _check_volumes(name, options.mesh.space)
    return devices


def _check_volumes(name: RunName, space: int) -> None:
    experiment = papers.find_paper(name.paper)
    if experiment.make_algorithm(name.config, None).volumes.names:
        return
    field = experiment.method_field
    method = "" if field is None else f" with --{field} {getattr(name.config, field)}"
    raise errors.UserError(
        f"--mesh.space {space}: the training of {name.paper}{method} has no depth to split; wanted 1"
    )


def _check_processes(devices: Mesh) -> None:
    if jax.process_count() == 1:
        return
    space, local = devices.shape[SPACE_AXIS], jax.local_device_count()
    if local % space:
        raise errors.UserError(
            f"--mesh.space {space} does not divide the {local} devices of a process, which share a volume"
        )
    if devices.size != jax.device_count():
        raise errors.UserError(
            f"the mesh has {devices.size} of {jax.device_count()} devices; several processes need all of them"
        )


def make_data(experiment: Experiment, name: RunName, options: RunOptions) -> Data:
    """The paper's data for this process.

    Raises:
        UserError: if the data directory does not exist.
    """
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise errors.UserError(f"--data-dir {options.data_dir} is not a folder")
    with hosts.main_first(f"the data of {name.paper} are prepared"):
        return experiment.make_data(
            name.config,
            seed=name.seed,
            data_dir=options.data_dir,
            cache_dir=options.cache_dir or options.workdir / "cache",
            executor=options.input,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            max_bad_cases=options.faults.max_bad_cases,
        )


def load(folder: Path) -> tuple[Experiment, RunName, Any]:
    """Reads a run's config and its latest state, without its data.

    Args:
        folder: a run's folder (`.../seed0`).

    Returns:
        The paper, the run's name and the state on one device.

    Raises:
        UserError: if the folder holds no run.
    """
    file = folder / "config.json"
    if not file.exists():
        raise errors.UserError(f"{folder} is not the folder of a run: it has no config.json")
    try:
        saved = json.loads(file.read_bytes())
        paper, preset, fields, seed = (saved[name] for name in ("paper", "preset", "config", "seed"))
    except (ValueError, KeyError, TypeError) as error:
        raise errors.UserError(f"{file} is damaged: {type(error).__name__}: {error}") from error
    experiment = papers.find_paper(paper)
    config = configs.from_json(type(papers.find_preset(experiment, preset)), fields)
    shapes = jax.eval_shape(functools.partial(init_state, experiment, config), jax.random.key(0))
    with Checkpoints(folder / "checkpoints", identity=None) as checkpoints:
        if checkpoints.latest_step() is None:
            raise errors.UserError(f"{folder} holds no checkpoint yet")
        state = checkpoints.restore(shapes, mesh.make_mesh(1))
    return experiment, RunName(paper, preset, config, seed), state


def init_state(experiment: Experiment, config: Config, key: jax.Array) -> Any:
    """An untrained state like that of a run; jittable."""
    if experiment.init_state is not None:
        return experiment.init_state(config, key)
    algorithm = experiment.make_algorithm(config, None)
    return fit.init_from_shapes(algorithm, key, experiment.example_batch(config))


def write_json(file: Path, content: Any) -> None:
    """Writes `content` whole or not at all."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.replace(file)


def _identity(name: RunName) -> dict[str, Any]:
    return {
        "paper": name.paper,
        "preset": name.preset,
        "seed": name.seed,
        "config": configs.to_json(name.config),
    }
