"""The verb export: a trained run as a folder that runs without this library."""

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiments.contract import Experiment
from experiments.verbs import configs, errors, papers, provenance, runs
from experiments.verbs.sample import require_same_paper
from jaxmed.deploy import bundle


@dataclass(frozen=True)
class ExportOptions:
    """Writes a trained run's network as a program (StableHLO) and its arrays (safetensors).

    The folder's README.md tells how to run it with jax, numpy and safetensors alone.
    """

    run: Path
    """Folder of a run (.../seed0)."""

    output: Path
    """Folder to make; one that is there already must be empty."""

    platforms: tuple[Literal["cpu", "cuda", "rocm", "tpu"], ...] = ("cpu", "cuda", "tpu")
    """Devices on which the network shall run; none of them is needed here."""


def export(paper: str, options: ExportOptions) -> int:
    """Writes the folder, whole or not at all, and prints its path and the digest of its manifest.

    Raises:
        UserError: if the paper has nothing to export, the run is another paper's, the folder is taken or
            cannot be written, or the network cannot be exported.
    """
    experiment = papers.find_paper(paper)
    if experiment.make_inference is None:
        raise errors.UserError(f"{paper} has nothing to export")
    _require_free(options.output)
    _, name, state = runs.load(options.run)
    require_same_paper(paper, name, options.run)
    inference = experiment.make_inference(name.config, state)
    try:
        files = bundle.make_bundle(
            inference.function,
            inference.variables,
            input_shape=inference.input_shape,
            input_dtype=inference.input_dtype,
            inputs=inference.inputs,
            outputs=inference.outputs,
            about=_describe(experiment, name, int(state.step), options.run),
            platforms=options.platforms,
        )
        _write(files, options.output)
    except ValueError as error:
        raise errors.UserError(f"{paper}: {error}") from error
    except OSError as error:
        raise errors.UserError(f"--output {options.output} cannot be written: {error.strerror}") from error
    digest = json.loads(files[bundle.MANIFEST])["sha256"]
    print(f"{options.output}  {sum(map(len, files.values())):,} bytes, manifest {digest}")
    return 0


def _require_free(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise errors.UserError(f"--output {output} is there already; name a new or an empty folder")


def _describe(experiment: Experiment, name: runs.RunName, step: int, folder: Path) -> dict[str, Any]:
    """Where the network comes from, free of paths: commit and device of the export and of the training."""
    result = runs.read_result(folder) if runs.is_finished(folder, step) else {"steps": None}
    trained = result if result["steps"] == step else {}
    return {
        "title": experiment.title,
        "paper": name.paper,
        "preset": name.preset,
        "config": configs.to_json(name.config),
        "seed": name.seed,
        "step": step,
        "data": json.loads((folder / "config.json").read_text())["data"],
        "trained": {key: trained[key] for key in provenance.describe() if key in trained},
        "exported": provenance.describe(),
    }


def _write(files: Mapping[str, bytes], output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}-{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        temporary.replace(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
