"""The verbs sample, predict and check-data on a paper that offers them, and on one that does not."""

from dataclasses import replace

import pytest

from experiments.verbs import papers, runs
from experiments.verbs.check_data import CheckDataOptions, check_data
from experiments.verbs.errors import UserError
from experiments.verbs.options import RunOptions
from experiments.verbs.predict import PredictOptions, predict
from experiments.verbs.sample import SampleOptions, sample


def weight(state):
    return float(state.net.params["Dense_0"]["kernel"][0, 0])


def draw(config, state, input, directory):
    file = directory / "sample.txt"
    file.write_text(f"{config.slope} {'untrained' if state is None else round(weight(state))}")
    return [file]


def write(config, state, input, output):
    output.write_text(f"{input.read_text()} x {round(weight(state))}")


@pytest.fixture
def able(toy, monkeypatch):
    able = replace(
        toy, sample=draw, predict=write, check_data=lambda config, folder: (f"in {folder.name}", 2)
    )
    monkeypatch.setattr(papers, "find_paper", lambda name: able)
    return able


@pytest.fixture
def run_folder(able, tmp_path):
    name = runs.RunName("toy", "demo", replace(able.presets["demo"], slope="two"), 0)
    return runs.run(name, RunOptions(workdir=tmp_path / "runs"))


def test_sample_uses_the_run_where_one_is_named(able, run_folder, tmp_path, capsys):
    options = SampleOptions(output_dir=tmp_path / "drawn")
    assert sample("toy", able.presets["demo"], options) == 0
    assert (tmp_path / "drawn/sample.txt").read_text() == "one untrained"
    sample("toy", able.presets["demo"], replace(options, run=run_folder))
    assert (tmp_path / "drawn/sample.txt").read_text() == "two 2"
    assert "sample.txt" in capsys.readouterr().out


def test_predict_applies_the_run_to_the_input(able, run_folder, tmp_path):
    (tmp_path / "scan").write_text("scan")
    options = PredictOptions(run=run_folder, input=tmp_path / "scan", output=tmp_path / "mask")
    assert predict("toy", options) == 0
    assert (tmp_path / "mask").read_text() == "scan x 2"
    with pytest.raises(UserError, match="is a run of toy, not of other"):
        predict("other", options)


def test_check_data_exits_with_1_where_there_are_problems(able, tmp_path, capsys):
    assert check_data("toy", able.presets["demo"], CheckDataOptions(tmp_path)) == 1
    assert capsys.readouterr().out == f"in {tmp_path.name}\n"


def test_papers_that_offer_nothing_say_so(toy, tmp_path):
    with pytest.raises(UserError, match="toy draws no samples"):
        sample("toy", toy.presets["demo"], SampleOptions())
    with pytest.raises(UserError, match="toy has nothing to predict"):
        predict("toy", PredictOptions(tmp_path, tmp_path, tmp_path))
    with pytest.raises(UserError, match="toy reads no real data"):
        check_data("toy", toy.presets["demo"], CheckDataOptions(tmp_path))
