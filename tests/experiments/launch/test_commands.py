"""The command line as several processes."""

import json

import jax
import numpy as np
import pytest

from experiments.__main__ import main
from experiments.fbpaug.config import PRESETS
from experiments.verbs import runs
from experiments.verbs.errors import UserError
from experiments.verbs.options import MeshOptions, RunOptions


def read(workdir):
    (folder,) = workdir.glob("fbpaug/tiny-*/seed0")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines], json.loads((folder / "result.json").read_text()), events


def test_two_processes_train_and_evaluate_as_one(launch, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.__main__._prepare", lambda options=None: None)
    command = ["train", "fbpaug", "tiny", "--log-every", "1", "--input", "threads"]
    command += ["--cache-dir", str(tmp_path / "cache")]
    assert main([*command, "--workdir", str(tmp_path / "one"), "--mesh.data", "1"]) == 0
    two = [*command, "--workdir", tmp_path / "two"]
    finished = launch("--processes", 2, "--devices", 2, module="experiments", arguments=two)
    assert finished.code == 0, "\n".join(finished.lines)
    assert sum(line.startswith("dice: mean") for process in (0, 1) for line in finished.of(process)) == 1
    losses, result, _ = read(tmp_path / "one")
    other_losses, other_result, events = read(tmp_path / "two")
    np.testing.assert_allclose(losses, other_losses, rtol=1e-5)
    assert events[0]["processes"] == 2 and events[0]["mesh"] == {"data": 4, "space": 1}
    for metric, cases in result["scores"].items():
        for case, value in cases.items():
            assert other_result["scores"][metric][case] == pytest.approx(value, rel=1e-3, abs=1e-3), metric


def test_volume_that_would_lie_on_devices_of_two_processes_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "local_device_count", lambda: jax.device_count() // 2)
    options = RunOptions(mesh=MeshOptions(space=8))
    with pytest.raises(UserError, match=r"--mesh\.space 8 does not divide the 4 devices of a process"):
        runs.make_mesh(runs.RunName("fbpaug", "tiny", PRESETS["tiny"], 0), options)


@pytest.mark.exhaustive
def test_volume_is_split_over_the_devices_of_one_process_only(launch, tmp_path):
    options = ["train", "fbpaug", "tiny", "--mesh.space", "4", "--workdir", tmp_path]
    finished = launch("--processes", 2, "--devices", 2, module="experiments", arguments=options)
    assert finished.code == 2
    said = "error: --mesh.space 4 does not divide the 2 devices of a process"
    assert any(line.startswith(said) for process in (0, 1) for line in finished.of(process))
