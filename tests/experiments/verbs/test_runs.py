import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import chex
import pytest

from experiments.verbs import papers, runs
from experiments.verbs.errors import UserError
from experiments.verbs.options import MeshOptions, RunOptions
from experiments.verbs.train import TrainOptions, train

ROOT = Path(__file__).parents[3]


@pytest.fixture
def options(tmp_path):
    return RunOptions(workdir=tmp_path, checkpoint_every=10, log_every=1)


def name_of(toy, **changes):
    return runs.RunName("toy", "demo", replace(toy.presets["demo"], **changes), 0)


def read_metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_run_leaves_config_metrics_checkpoints_and_result(toy, options):
    folder = runs.run(name_of(toy, fold=1), options)
    assert folder.parent.name.startswith("demo_fold-1-")
    assert json.loads((folder / "config.json").read_text())["config"]["fold"] == 1
    assert [line["step"] for line in read_metrics(folder)] == list(range(1, 41))
    assert runs.read_result(folder)["scores"]["loss"]["all"] < 0.1
    _, name, state = runs.load(folder)
    assert (name.config.fold, int(state.step)) == (1, 40)


def test_finished_run_is_left_alone(toy, options, monkeypatch):
    folder = runs.run(name_of(toy), options)
    monkeypatch.setattr(runs, "_train", lambda *arguments: pytest.fail("trained again"))
    assert runs.run(name_of(toy), options) == folder


def test_without_resume_earlier_results_are_set_aside(toy, options):
    folder = runs.run(name_of(toy), options)
    assert runs.run(name_of(toy), replace(options, resume=False)) == folder
    assert (folder.parent / "seed0-old1" / "result.json").exists()


def test_run_cut_between_checkpoints_continues_and_ends_the_same(toy, options, tmp_path):
    whole = runs.run(name_of(toy), options)
    other = replace(options, workdir=tmp_path / "cut")

    class CutError(Exception):
        pass

    original = toy.make_data

    def cut_data(*arguments, **keywords):
        data = original(*arguments, **keywords)

        def batches(first_step):
            for count, batch in enumerate(data.batches(first_step)):
                if first_step == 0 and count == 25:
                    raise CutError
                yield batch

        return replace(data, batches=batches)

    cut = replace(toy, make_data=cut_data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papers, "find_paper", lambda name: cut)
        with pytest.raises(CutError):
            runs.run(name_of(toy), other)
    resumed = runs.run(name_of(toy), other)
    chex.assert_trees_all_equal(runs.load(whole)[2], runs.load(resumed)[2])
    assert runs.read_result(whole)["scores"] == runs.read_result(resumed)["scores"]
    assert read_metrics(whole) == read_metrics(resumed)


def test_eight_devices_give_the_metrics_of_one(toy, options, tmp_path):
    one = runs.run(name_of(toy), replace(options, mesh=MeshOptions(data=1)))
    eight = runs.run(name_of(toy), replace(options, workdir=tmp_path / "eight", mesh=MeshOptions(data=8)))
    for line, other in zip(read_metrics(one), read_metrics(eight), strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-5, abs=1e-9)


def test_loading_what_is_no_run_is_refused(toy, tmp_path):
    with pytest.raises(UserError, match=r"has no config\.json"):
        runs.load(tmp_path)


def test_train_prints_the_scores(toy, tmp_path, capsys):
    options = TrainOptions(workdir=tmp_path, tensorboard=False)
    assert train("toy", "demo", toy.presets["demo"], options) == 0
    assert "weight: mean 1.0" in capsys.readouterr().out


def test_killed_process_goes_on_from_its_checkpoint_and_ends_with_the_same_numbers(tmp_path):
    """SIGKILL to `python -m experiments train` after its first checkpoint, then the same command again."""
    sizes = ("--num-steps", "12", "--checkpoint-every", "3", "--log-every", "1")
    program = (sys.executable, "-m", "experiments", "train", "fbpaug", "tiny", *sizes)

    def command(folder):
        return [*program, "--workdir", str(folder), "--cache-dir", str(tmp_path / "cache")]

    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "xla")}
    subprocess.run(command(tmp_path / "whole"), cwd=ROOT, env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        command(tmp_path / "cut"),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not list((tmp_path / "cut").glob("fbpaug/*/seed0/checkpoints/3")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    again = subprocess.run(
        command(tmp_path / "cut"), cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert "going on from step" in again.stderr
    whole, cut = (next((tmp_path / name).glob("fbpaug/*/seed0")) for name in ("whole", "cut"))
    assert runs.read_result(whole)["scores"] == runs.read_result(cut)["scores"]
    assert read_metrics(whole) == read_metrics(cut)
    chex.assert_trees_all_equal(runs.load(whole)[2], runs.load(cut)[2])
