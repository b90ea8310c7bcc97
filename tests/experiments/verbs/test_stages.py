"""A paper of three stages of different kinds: two trainings of a weight, with a small result between them."""

import itertools
import json
import os
import signal
from dataclasses import dataclass, replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct

from experiments.contract import Data, Experiment
from experiments.verbs import papers, runs
from experiments.verbs.errors import UserError
from experiments.verbs.options import FaultOptions, MeshOptions, RunOptions
from experiments.verbs.training import StoppedError
from jaxmed.train import fit, guard
from jaxmed.train.fit import Algorithm


@dataclass(frozen=True)
class Config:
    """Fits a slope, then an intercept on what was chosen with it, then both."""

    method: str = "best"
    num_steps: int = 6
    batch_size: int = 8


@struct.dataclass
class Line:
    step: jax.Array
    slope: jax.Array
    intercept: jax.Array
    momentum: optax.OptState


@struct.dataclass
class Weight:
    step: jax.Array
    slope: jax.Array


def sgd(state_type, make_state):
    """Least squares, with noise that depends on the step's key."""

    def step(state, batch, key):
        noise = 0.01 * jax.random.normal(key, batch["x"].shape)

        def loss_fn(slope, intercept):
            return jnp.mean(jnp.square(slope * batch["x"] + intercept + noise - batch["y"]))

        intercept = getattr(state, "intercept", jnp.zeros(()))
        loss, (dslope, dintercept) = jax.value_and_grad(loss_fn, argnums=(0, 1))(state.slope, intercept)
        state = state.replace(step=state.step + 1, slope=state.slope - 0.1 * dslope)
        if state_type is Line:
            state = state.replace(intercept=intercept - 0.1 * dintercept, momentum=state.momentum + 1)
            return state, {"loss": loss, "intercept": intercept}
        return state, {"loss": loss}

    return Algorithm(lambda key, batch: make_state(key), step)


WEIGHT = sgd(Weight, lambda key: Weight(jnp.int32(0), jax.random.normal(key)))
LINE = sgd(Line, lambda key: Line(jnp.int32(0), jax.random.normal(key), jnp.zeros(()), jnp.zeros(3)))


def example_batch(config):
    return {name: jax.ShapeDtypeStruct((config.batch_size,), jnp.float32) for name in ("x", "y")}


def make_data(config, *, seed, **ignored):
    def batches(first_step):
        for step in itertools.count(first_step):
            x = np.random.default_rng([seed, step]).normal(size=config.batch_size).astype(np.float32)
            yield {"x": x, "y": 2 * x + 1}

    return Data("phantom", batches, describe=lambda step: [f"example of {step}"])


def run(config, data, stages):
    anew = {"example_batch": example_batch(config)}
    weight = stages.fit(
        "slope", WEIGHT, data.batches, num_steps=5, shared=replace(config, method="any"), **anew
    )
    slope = float(weight.slope)
    kept = stages.keep("chosen", lambda: {"slope": slope, "index": np.arange(3)})
    assert kept["slope"] == slope
    line = stages.fit("intercept", LINE, data.batches, num_steps=4, describe=data.describe, **anew)
    line = line.replace(slope=jnp.asarray(kept["slope"], jnp.float32))
    return stages.fit("both", LINE, data.batches, num_steps=config.num_steps, state=line)


EXPERIMENT = Experiment(
    title="A line",
    presets={"demo": Config()},
    example_batch=example_batch,
    make_data=make_data,
    make_algorithm=lambda config, data: WEIGHT,
    evaluate=lambda config, state, data: {"slope": {"all": float(state.slope)}},
    run=run,
    init_state=lambda config, key: LINE.init(key, {}),
)


class CutError(Exception):
    """Stands for a killed process."""


@pytest.fixture
def staged(monkeypatch):
    """Makes the paper of stages the only one, and compiles its steps once for all tests."""
    monkeypatch.setattr(papers, "find_paper", lambda name: EXPERIMENT)
    compiled = {}
    compile_step = fit.compile_step

    def compile_once(algorithm, mesh, mode="jit"):
        key = (algorithm, mesh, mode)
        if key not in compiled:
            compiled[key] = compile_step(algorithm, mesh, mode)
        return compiled[key]

    monkeypatch.setattr(fit, "compile_step", compile_once)
    return monkeypatch


@pytest.fixture
def options(tmp_path):
    return RunOptions(workdir=tmp_path / "whole", mesh=MeshOptions(data=1), checkpoint_every=2, log_every=1)


def name_of(**changes):
    return runs.RunName("line", "demo", Config(**changes), 0)


def with_batches(patch, change):
    """Lets `change(count, batch)` act on every batch that is read, counted over all stages."""
    count = itertools.count()

    def changed_data(config, **keywords):
        data = make_data(config, **keywords)

        def batches(first_step):
            for batch in data.batches(first_step):
                yield change(next(count), batch)

        return replace(data, batches=batches)

    patch.setattr(papers, "find_paper", lambda name: replace(EXPERIMENT, make_data=changed_data))


def metrics_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same_runs(one, other):
    chex.assert_trees_all_equal(runs.load(one)[2], runs.load(other)[2])
    assert runs.read_result(one)["scores"] == runs.read_result(other)["scores"]
    assert metrics_of(one) == metrics_of(other)
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()


def test_run_leaves_the_metrics_of_all_stages_and_the_last_state(staged, options):
    folder = runs.run(name_of(), options)
    _, _, state = runs.load(folder)
    assert isinstance(state, Line)
    assert int(state.step) == runs.read_result(folder)["steps"] == 6
    np.testing.assert_array_equal(state.momentum, 10)
    lines = [(line["stage"], line["step"]) for line in metrics_of(folder)]
    assert lines == [("intercept", n) for n in range(1, 5)] + [("both", n) for n in range(1, 7)]
    shared = next((options.workdir / "line" / "shared").glob("slope-*/seed0"))
    assert [line["stage"] for line in metrics_of(shared)] == ["slope"] * 5
    assert (folder / "metrics.csv").read_text().startswith("stage,step,intercept,loss\nintercept,1,")
    with np.load(folder / "stages/chosen.npz") as kept:
        np.testing.assert_array_equal(kept["index"], [0, 1, 2])


@pytest.mark.faults
@pytest.mark.parametrize(
    "cuts", [(2, 7, 13), pytest.param((0, 4, 5, 8, 9, 11, 14), marks=pytest.mark.exhaustive)]
)
def test_runs_cut_anywhere_end_like_the_straight_one(staged, options, record_fault, cuts):
    """15 steps in three stages, and a batch ahead of all but the last step of each."""
    straight = runs.run(name_of(), options)
    for cut in cuts:
        other = replace(options, workdir=options.workdir.parent / f"cut-{cut}")
        with staged.context() as patch:

            def kill(count, batch, cut=cut):
                if count == cut:
                    raise CutError
                return batch

            with_batches(patch, kill)
            with pytest.raises(CutError):
                runs.run(name_of(), other)
        assert_same_runs(straight, runs.run(name_of(), other))
    record_fault(
        f"1 a run of three stages cut at batches {cuts}", "goes on inside its stage: same bits, same logs"
    )


@pytest.mark.faults
def test_signal_ends_a_stage_and_the_same_command_goes_on(staged, options, record_fault):
    straight = runs.run(name_of(), options)
    other = replace(options, workdir=options.workdir.parent / "stopped")

    def interrupt(count, batch):
        if count == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return batch

    with staged.context() as patch:
        with_batches(patch, interrupt)
        with pytest.raises(StoppedError, match=r"after step 3 of 4, which is saved in .*stages/intercept;"):
            runs.run(name_of(), other)
    assert_same_runs(straight, runs.run(name_of(), other))
    record_fault("1 SIGTERM inside a stage", "stops after the step; the same bits")


def test_signal_while_a_result_is_made_ends_the_run_with_it(staged, options):
    def interrupted(config, data, stages):
        def make():
            os.kill(os.getpid(), signal.SIGTERM)
            return {"number": 3}

        return stages.keep("number", make)

    staged.setattr(papers, "find_paper", lambda name: replace(EXPERIMENT, run=interrupted))
    with pytest.raises(StoppedError, match="stopped after 'number', which is saved in"):
        runs.run(name_of(), options)


def test_finished_stages_are_not_repeated(staged, options):
    folder = runs.run(name_of(), options)
    (folder / "result.json").unlink()
    with staged.context() as patch:
        with_batches(patch, lambda count, batch: pytest.fail("trained again"))
        runs.run(name_of(), options)
    assert len(metrics_of(folder)) == 10


def test_runs_share_the_stage_that_is_the_same_for_them(staged, options):
    steps = []

    def count(number, batch):
        steps.append(number)
        return batch

    with_batches(staged, count)
    runs.run(name_of(), options)
    assert len(steps) == 15
    other = runs.run(name_of(method="worst"), options)
    assert len(steps) == 25
    alone = runs.run(name_of(method="worst"), replace(options, workdir=options.workdir.parent / "alone"))
    assert_same_runs(alone, other)


def test_stages_and_seeds_have_keys_of_their_own(staged, options):
    seen = []

    def note(config, data, stages):
        seen.append([jax.random.key_data(stages.key(name)).tolist() for name in ("a", "b", "a")])
        return LINE.init(jax.random.key(0), {}).replace(step=jnp.int32(config.num_steps))

    staged.setattr(papers, "find_paper", lambda name: replace(EXPERIMENT, run=note))
    for seed in (0, 1):
        runs.run(replace(name_of(), seed=seed), options)
    (first, second, again), (other, _, _) = seen
    assert first == again
    assert first != second
    assert first != other


@pytest.mark.faults
def test_damaged_result_is_made_again(staged, options, record_fault, capsys):
    straight = runs.run(name_of(), options)
    before = runs.load(straight)[2]
    kept = straight / "stages/chosen.npz"
    kept.write_bytes(kept.read_bytes()[:-9])
    (straight / "result.json").unlink()
    runs.run(name_of(), options)
    chex.assert_trees_all_equal(before, runs.load(straight)[2])
    assert "chosen.npz: found" in capsys.readouterr().err
    record_fault("2 a stage's small result truncated", "said in one line, made again")


def test_skipped_steps_are_named_with_their_stage(staged, options):
    def spoil(count, batch):
        return {**batch, "x": batch["x"] * np.nan} if count == 6 else batch

    with_batches(staged, spoil)
    folder = runs.run(name_of(), options)
    assert runs.read_result(folder)["skipped_steps"] == ["intercept 2"]
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert next(event for event in events if event["event"] == "skipped")["examples"] == ["example of 1"]
    staged.setattr(papers, "find_paper", lambda name: EXPERIMENT)
    with_batches(staged, lambda count, batch: {**batch, "x": batch["x"] * np.nan})
    with pytest.raises(guard.NonFiniteError):
        strict = replace(options, workdir=options.workdir.parent / "nan", faults=FaultOptions(max_skipped=1))
        runs.run(name_of(), strict)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda stages: stages.keep("a/b", dict), "'a/b' has other characters"),
        (lambda stages: [stages.keep("a", dict) for _ in range(2)], "'a' occurs twice"),
        (lambda stages: stages.fit("a", LINE, None, num_steps=1), "needs either an example batch or a state"),
        (lambda stages: LINE.init(stages.key("a"), {}), "run ended at step 0, not at num_steps=6"),
    ],
)
def test_wrong_uses_are_refused(staged, options, make, message):
    changed = replace(EXPERIMENT, run=lambda config, data, stages: make(stages))
    staged.setattr(papers, "find_paper", lambda name: changed)
    with pytest.raises(ValueError, match=message):
        runs.run(name_of(), options)


def test_other_numbers_of_steps_are_refused(staged, options):
    with pytest.raises(UserError, match="line has several stages: change its config instead of --steps"):
        runs.run(name_of(), options, num_steps=3)
