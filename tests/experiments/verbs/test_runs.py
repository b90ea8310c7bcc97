import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import chex
import numpy as np
import pytest

from experiments.verbs import papers, runs
from experiments.verbs.errors import UserError
from experiments.verbs.options import FaultOptions, MeshOptions, RunOptions
from experiments.verbs.train import TrainOptions, train
from experiments.verbs.training import StoppedError
from jaxmed.train import guard
from jaxmed.train.checkpoint import Checkpoints

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
    monkeypatch.setattr(runs.training, "train", lambda *arguments: pytest.fail("trained again"))
    assert runs.run(name_of(toy), options) == folder


@pytest.mark.faults
def test_steps_may_grow(toy, options, monkeypatch, record_fault):
    folder = runs.run(name_of(toy), options, num_steps=12)
    assert runs.read_result(folder)["steps"] == 12
    runs.run(name_of(toy), options)
    assert runs.read_result(folder)["steps"] == 40
    assert [line["step"] for line in read_metrics(folder)] == list(range(1, 41))
    whole = runs.run(name_of(toy), replace(options, workdir=options.workdir / "whole"))
    chex.assert_trees_all_equal(runs.load(whole)[2], runs.load(folder)[2])
    monkeypatch.setattr(runs.training, "train", lambda *arguments: pytest.fail("trained again"))
    runs.run(name_of(toy), options, num_steps=12)
    record_fault(
        "12 a finished run started again, with more steps, then with fewer",
        "goes on to the same bits; then nothing is done",
    )


def test_steps_dispatched_together_leave_the_same_run(toy, options):
    """Cut at step 12 with seven at a time, resumed with three at a time: bits and logs of single steps."""
    folder = runs.run(name_of(toy), replace(options, steps_per_dispatch=7), num_steps=12)
    runs.run(name_of(toy), replace(options, steps_per_dispatch=3))
    whole = runs.run(name_of(toy), replace(options, workdir=options.workdir / "whole"))
    assert read_metrics(folder) == read_metrics(whole)
    chex.assert_trees_all_equal(runs.load(whole)[2], runs.load(folder)[2])


def test_run_beyond_the_steps_asked_for_is_not_passed_off_as_shorter(toy, options):
    folder = runs.run(name_of(toy), options)
    (folder / "result.json").unlink()
    with pytest.raises(UserError, match="is at step 40 already, beyond the 12 asked for"):
        runs.run(name_of(toy), options, num_steps=12)


def with_batches(toy, change):
    """The paper, its batches changed by `change(step, batch)`."""

    def make_data(*arguments, **keywords):
        data = toy.make_data(*arguments, **keywords)

        def batches(first_step):
            for step, batch in enumerate(data.batches(first_step), first_step):
                yield change(step, batch)

        return replace(data, batches=batches)

    return replace(toy, make_data=make_data)


@pytest.mark.faults
def test_batches_with_nan_stop_the_run_with_their_examples(toy, options, monkeypatch, capsys, record_fault):
    def spoil(step, batch):
        return {**batch, "x": batch["x"] * np.nan} if step == 5 or 20 <= step < 24 else batch

    monkeypatch.setattr(papers, "find_paper", lambda name: with_batches(toy, spoil))
    with pytest.raises(guard.NonFiniteError, match="steps 21 to 24; step 20 was the last good one"):
        runs.run(name_of(toy), replace(options, faults=FaultOptions(max_skipped=3)))
    assert "step 24 had the examples example 23-0, example 23-1, " in capsys.readouterr().err
    folder = runs.run_folder(name_of(toy), options)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["event"] == "skipped"] == [6, 21, 22, 23, 24]
    with Checkpoints(folder / "checkpoints") as checkpoints:
        assert checkpoints.latest_step() == 20
    result_folder = runs.run(name_of(toy), replace(options, faults=FaultOptions(max_skipped=4)))
    assert runs.read_result(result_folder)["skipped_steps"] == [6, 21, 22, 23, 24]
    record_fault("7 four batches of NaN, three allowed", "stops, names the steps and their examples")


@pytest.mark.faults
def test_signal_saves_the_state_and_the_same_command_goes_on(toy, options, monkeypatch, record_fault):
    def interrupt(step, batch):
        if step == 17 and not (options.workdir / "sent").exists():
            (options.workdir / "sent").touch()
            os.kill(os.getpid(), signal.SIGTERM)
        return batch

    monkeypatch.setattr(papers, "find_paper", lambda name: with_batches(toy, interrupt))
    with pytest.raises(StoppedError, match="stopped after step 18 of 40, which is saved") as stopped:
        runs.run(name_of(toy), options)
    resumed = runs.run(name_of(toy), options)
    whole = runs.run(name_of(toy), replace(options, workdir=options.workdir / "whole"))
    chex.assert_trees_all_equal(runs.load(whole)[2], runs.load(resumed)[2])
    assert read_metrics(whole) == read_metrics(resumed)
    record_fault("1 SIGTERM to a run of one process", f"{str(stopped.value).split(' of ')[0]}; the same bits")


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


@pytest.mark.exhaustive
def test_killed_process_goes_on_from_its_checkpoint_and_ends_with_the_same_numbers(tmp_path):
    """SIGKILL to `python -m experiments train` after its first checkpoint, then the same command again.

    What `test_kill_loop.py` does to the run of a small paper, done to the command line.
    """
    sizes = ("--num-steps", "12", "--checkpoint-every", "3", "--log-every", "1")
    program = (
        sys.executable,
        "-m",
        "experiments",
        "train",
        "fbpaug",
        "tiny",
        "--method",
        "noise",
        *sizes,
        "--input",
        "threads",
    )

    def command(folder):
        return [*program, "--workdir", str(folder), "--cache-dir", str(tmp_path / "cache")]

    flags = "--xla_backend_optimization_level=0"  # one device, compiled quickly
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "xla"), "XLA_FLAGS": flags}
    subprocess.run(command(tmp_path / "whole"), cwd=ROOT, env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        command(tmp_path / "cut"),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not list(
        (tmp_path / "cut").glob("fbpaug/*/seed0/checkpoints/3/manifest.json")
    ):
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
