"""The verb export on a paper that has something to give away, and on one that has not."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.contract import Inference
from experiments.verbs import papers, runs
from experiments.verbs.errors import UserError
from experiments.verbs.export import ExportOptions, export
from experiments.verbs.options import RunOptions
from jaxmed.deploy import bundle


def make_inference(config, state):
    def function(variables, inputs):
        return inputs @ variables["params"]["Dense_0"]["kernel"]

    shape = ("batch", 1)
    return Inference(function, state.net.variables, shape, "float32", "abscissas", "ordinates")


@pytest.fixture
def able(toy, monkeypatch):
    able = replace(toy, make_inference=make_inference)
    monkeypatch.setattr(papers, "find_paper", lambda name: able)
    return able


@pytest.fixture
def run(able, tmp_path):
    name = runs.RunName("toy", "demo", replace(able.presets["demo"], slope="two"), 0)
    return runs.run(name, RunOptions(workdir=tmp_path / "runs"))


def test_exported_run_computes_what_the_run_does(run, tmp_path, capsys):
    output = tmp_path / "new" / "exported"
    assert export("toy", ExportOptions(run, output)) == 0
    assert {path.name for path in output.iterdir()} == {
        "model.stablehlo",
        "params.safetensors",
        "manifest.json",
        "README.md",
    }
    kernel = runs.load(run)[2].net.params["Dense_0"]["kernel"]
    for count in (1, 5):
        inputs = np.linspace(-1, 1, count, dtype=np.float32)[:, None]
        assert np.array_equal(bundle.load_exported(output)(inputs), jnp.asarray(inputs) @ kernel)
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["sha256"] in capsys.readouterr().out
    assert manifest["config"]["slope"] == "two"
    assert (manifest["paper"], manifest["preset"], manifest["seed"], manifest["step"]) == (
        "toy",
        "demo",
        0,
        40,
    )
    assert manifest["data"] == "phantom"
    assert manifest["trained"]["commit"] == runs.read_result(run)["commit"]
    assert [path.name for path in output.parent.iterdir()] == ["exported"]


def test_platforms_are_chosen(run, tmp_path):
    export("toy", ExportOptions(run, tmp_path / "exported", ("cpu",)))
    assert bundle.read_manifest(tmp_path / "exported")["platforms"] == ["cpu"]


def test_taken_folder_is_left_as_it_is(run, tmp_path):
    (tmp_path / "taken").mkdir()
    export("toy", ExportOptions(run, tmp_path / "taken"))
    before = {path: path.read_bytes() for path in (tmp_path / "taken").iterdir()}
    with pytest.raises(UserError, match="taken is there already; name a new or an empty folder"):
        export("toy", ExportOptions(run, tmp_path / "taken"))
    assert {path: path.read_bytes() for path in (tmp_path / "taken").iterdir()} == before


@pytest.mark.faults
def test_export_that_fails_leaves_nothing_behind(run, tmp_path, monkeypatch, record_fault):
    """The disk fills up with the third file."""
    output, written = tmp_path / "exported", []
    original = type(output).write_bytes

    def write_bytes(path, content):
        written.append(path.name)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        return original(path, content)

    monkeypatch.setattr(type(output), "write_bytes", write_bytes)
    with pytest.raises(UserError, match="cannot be written: No space left on device") as caught:
        export("toy", ExportOptions(run, output))
    assert len(written) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
    record_fault(
        "3 disk full during an export",
        f"nothing left behind: '{str(caught.value).replace(str(tmp_path), '')}'",
    )


def test_what_cannot_be_exported_is_said_in_one_line(able, run, tmp_path, monkeypatch, toy):
    with pytest.raises(UserError, match="is a run of toy, not of other"):
        export("other", ExportOptions(run, tmp_path / "exported"))
    with pytest.raises(UserError, match=r"has no config\.json"):
        export("toy", ExportOptions(tmp_path, tmp_path / "exported"))

    def no_lowering(config, state):
        return replace(make_inference(config, state), function=lambda variables, inputs: inputs.missing)

    monkeypatch.setattr(papers, "find_paper", lambda name: replace(toy, make_inference=no_lowering))
    with pytest.raises(UserError, match="toy: the network cannot be exported for cpu, cuda, tpu with inputs"):
        export("toy", ExportOptions(run, tmp_path / "exported"))
    monkeypatch.setattr(papers, "find_paper", lambda name: toy)
    with pytest.raises(UserError, match="toy has nothing to export"):
        export("toy", ExportOptions(run, tmp_path / "exported"))
    assert not (tmp_path / "exported").exists()
