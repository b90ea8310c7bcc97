"""One training run: its folder, its training, its result."""

import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from experiments.contract import PHANTOM, Config, Data, Experiment
from experiments.verbs import configs, errors, papers, provenance
from experiments.verbs.options import RunOptions
from jaxmed.train import fit, mesh, observers
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.types import DATA_AXIS

_RESULT = "result.json"


@dataclass(frozen=True)
class RunName:
    """What identifies a run: paper, preset, config and seed."""

    paper: str
    preset: str
    config: Config
    seed: int


def data_name(options: RunOptions) -> str:
    """The name under which results state their data."""
    return PHANTOM if options.data_dir is None else options.data_dir.resolve().name


def run_folder(name: RunName, options: RunOptions) -> Path:
    """`<workdir>/<paper>/<label>-<hash>/seed<seed>`, where the hash is of the config and the data."""
    preset_config = papers.find_preset(papers.find_paper(name.paper), name.preset)
    source = PHANTOM if options.data_dir is None else str(options.data_dir.resolve())
    label = configs.label(name.preset, preset_config, name.config)
    digest = configs.config_hash(name.config, data_name=source)
    return options.workdir / name.paper / f"{label}-{digest}" / f"seed{name.seed}"


def is_finished(folder: Path) -> bool:
    """Tells whether the run has been trained and evaluated."""
    return (folder / _RESULT).exists()


def read_result(folder: Path) -> dict[str, Any]:
    """The result of a finished run."""
    return json.loads((folder / _RESULT).read_text())


def run(name: RunName, options: RunOptions) -> Path:
    """Trains and evaluates a run, or goes on with it; a finished one is left as it is.

    Returns:
        The run's folder, with config.json, metrics.jsonl, metrics.csv, checkpoints and result.json.
    """
    experiment = papers.find_paper(name.paper)
    folder = run_folder(name, options)
    if not options.resume:
        set_aside(folder)
    if is_finished(folder):
        return folder
    started = time.monotonic()
    devices = make_mesh(name.config, options)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", {**_identity(name), "data": data_name(options)})
    data = make_data(experiment, name, options)
    state = _train(experiment, name, options, data, devices, folder)
    scores = experiment.evaluate(name.config, state, data)
    result = {**_identity(name), "data": data.name, **provenance.describe()}
    result["seconds"] = round(time.monotonic() - started, 1)
    write_json(folder / _RESULT, {**result, "scores": scores})
    return folder


def set_aside(folder: Path) -> None:
    """Renames an earlier run's folder to the first free `<name>-old<k>`."""
    if folder.exists():
        number = 1
        while (target := folder.with_name(f"{folder.name}-old{number}")).exists():
            number += 1
        folder.rename(target)


def make_mesh(config: Config, options: RunOptions) -> Mesh:
    """The mesh of the options.

    Raises:
        UserError: if there are too few devices, or the batch does not divide over them.
    """
    try:
        devices = mesh.make_mesh(options.mesh.data, options.mesh.space)
    except ValueError as error:
        raise errors.UserError(str(error)) from error
    parts = devices.shape[DATA_AXIS]
    if config.batch_size % parts:
        raise errors.UserError(
            f"--batch-size {config.batch_size} does not divide over {parts} parts of the data axis; "
            f"change it or --mesh.data"
        )
    if options.compile == "pmap" and options.mesh.space > 1:
        raise errors.UserError(f"--compile pmap needs --mesh.space 1, not {options.mesh.space}")
    return devices


def make_data(experiment: Experiment, name: RunName, options: RunOptions) -> Data:
    """The paper's data for this process.

    Raises:
        UserError: if the data directory does not exist.
    """
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise errors.UserError(f"--data-dir {options.data_dir} is not a folder")
    return experiment.make_data(
        name.config,
        seed=name.seed,
        data_dir=options.data_dir,
        cache_dir=options.cache_dir or options.workdir / "cache",
        executor=options.input,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
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
    saved = json.loads(file.read_text())
    experiment = papers.find_paper(saved["paper"])
    preset_config = papers.find_preset(experiment, saved["preset"])
    config = configs.from_json(type(preset_config), saved["config"])
    algorithm = experiment.make_algorithm(config, None)
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0), experiment.example_batch(config))
    with Checkpoints(folder / "checkpoints") as checkpoints:
        if checkpoints.latest_step() is None:
            raise errors.UserError(f"{folder} holds no checkpoint yet")
        state = checkpoints.restore(shapes, mesh.make_mesh(1))
    return experiment, RunName(saved["paper"], saved["preset"], config, saved["seed"]), state


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


def _train(
    experiment: Experiment, name: RunName, options: RunOptions, data: Data, devices: Mesh, folder: Path
) -> Any:
    algorithm = experiment.make_algorithm(name.config, data)
    key_init, key_fit = jax.random.split(jax.random.key(name.seed))
    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(Checkpoints(folder / "checkpoints"))
        state = _initial_state(experiment, algorithm, name.config, checkpoints, devices, key_init)
        first_step = int(state.step)
        if first_step:
            print(f"going on from step {first_step} of {folder}", file=sys.stderr)
        return fit.fit(
            algorithm,
            state,
            stack.enter_context(contextlib.closing(data.batches(first_step))),
            key=key_fit,
            num_steps=name.config.num_steps,
            mesh=devices,
            mode=options.compile,
            observers=_observers(options, checkpoints, folder, first_step, name.config.num_steps, stack),
        )


def _observers(
    options: RunOptions,
    checkpoints: Checkpoints,
    folder: Path,
    first_step: int,
    num_steps: int,
    stack: contextlib.ExitStack,
) -> list[fit.Observer]:
    bar = observers.ProgressBar(folder.parent.name, num_steps, every=options.log_every)
    stack.enter_context(contextlib.closing(bar))
    watchers: list[fit.Observer] = [
        bar,
        observers.MetricLog(folder, first_step=first_step, every=options.log_every),
        observers.SaveCheckpoints(checkpoints, every=options.checkpoint_every, num_steps=num_steps),
    ]
    if options.tensorboard:
        try:
            events = observers.TensorBoard(folder, every=options.log_every)
        except ModuleNotFoundError as error:
            raise errors.UserError(str(error)) from error
        watchers.append(stack.enter_context(contextlib.closing(events)))
    return watchers


def _initial_state(
    experiment: Experiment,
    algorithm: fit.Algorithm,
    config: Config,
    checkpoints: Checkpoints,
    devices: Mesh,
    key: jax.Array,
) -> Any:
    shapes = experiment.example_batch(config)
    if checkpoints.latest_step() is not None:
        return checkpoints.restore(jax.eval_shape(algorithm.init, key, shapes), devices)
    zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}
    return jax.jit(algorithm.init)(key, zeros)
