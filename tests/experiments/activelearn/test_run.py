import itertools
from dataclasses import replace
from typing import get_args

import chex
import jax
import numpy as np
import pytest

from experiments.activelearn import data, run
from experiments.activelearn.config import PRESETS, choose
from experiments.activelearn.evaluate import evaluate
from experiments.verbs import options, runs
from jaxmed.active.acquisition import Sampling

DIGITS = choose(PRESETS["tiny"], "balanced")


class Untrained:
    """Stages that train nothing, and note what they are asked for."""

    def __init__(self, state):
        self.state, self.labelled, self.shared, self.kept = state, [], [], {}

    def key(self, name):
        return jax.random.key(sum(map(ord, name)))

    def fit(self, name, algorithm, batches, *, num_steps, example_batch, shared=None):
        self.labelled.append(batches.args[1])
        self.shared.append(shared)
        return self.state

    def keep(self, name, make, *, shared=None):
        self.kept[name] = {key: np.asarray(value) for key, value in make().items()}
        return self.kept[name]


@pytest.mark.parametrize("sampling", get_args(Sampling))
def test_rounds_add_new_images_of_the_pool(sampling, digits, untrained):
    config = replace(DIGITS, sampling=sampling, num_rounds=2)
    stages = Untrained(untrained)
    state = run.run(config, digits, stages)
    pool = digits.evaluation
    first, second, third = (set(labelled.tolist()) for labelled in stages.labelled)
    assert first < second < third <= set(pool.pool.tolist())
    assert [len(labelled) for labelled in (first, second, third)] == [180, 360, 540]
    assert stages.shared[1:] == [None, None]
    assert stages.shared[0].sampling == "random"
    labels = pool.images.labels
    for counts, (before, after) in zip(
        state.queried[1:], itertools.pairwise((first, second, third)), strict=True
    ):
        np.testing.assert_array_equal(counts, np.bincount(labels[sorted(after - before)], minlength=10))
    scores = evaluate(config, state, digits)
    assert scores["accuracy"] == scores["accuracy, round 2"]
    assert 0 <= scores["share of the smallest class"]["all"] <= 100


def test_random_sampling_does_not_look_at_the_network(digits, untrained):
    other = untrained.replace(net=jax.tree.map(lambda leaf: leaf + 1, untrained.net))
    chosen = []
    for state in (untrained, other):
        stages = Untrained(state)
        run.run(DIGITS, digits, stages)
        chosen.append(stages.kept["query-1"]["chosen"])
    np.testing.assert_array_equal(*chosen)


class CutError(Exception):
    """Ends a run as a crash would."""


def test_study_cut_inside_a_round_ends_like_the_straight_one(tmp_path, monkeypatch):
    config = replace(DIGITS, sampling="core_set")
    name = runs.RunName("activelearn", "tiny", config, 0)

    def train(workdir):
        mesh = options.MeshOptions(data=1)
        return runs.run(name, options.RunOptions(workdir=tmp_path / workdir, checkpoint_every=1, mesh=mesh))

    straight = train("straight")
    make_batches, reached = data.make_batches, []

    def cut_in_the_second_round(images, positions, plan, part, first_step):
        for step, batch in enumerate(make_batches(images, positions, plan, part, first_step), first_step):
            if len(positions) == 2 * 180 and step == 3:
                reached.append(step)
                raise CutError
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(data, "make_batches", cut_in_the_second_round)
        with pytest.raises(CutError):
            train("cut")
    resumed = train("cut")
    assert reached == [3]
    starts = [line for line in (resumed / "events.jsonl").read_text().splitlines() if "resumed" in line]
    assert starts
    chex.assert_trees_all_equal(runs.load(straight)[2], runs.load(resumed)[2])
    assert runs.read_result(straight)["scores"] == runs.read_result(resumed)["scores"]
