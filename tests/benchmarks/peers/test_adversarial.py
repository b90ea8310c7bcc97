"""Both sides of each adversarial step, at the quick sizes."""

import importlib

import pytest

from benchmarks.peers.cases import CASES

pytest.importorskip("torch")

STEPS = {
    case.name: case for case in CASES if case.name in ("gan-3d", "dcgan-2d", "wgan-gp-2d", "stylegan-3d")
}


def build(builder, sizes):
    module, name = builder.split(":")
    return getattr(importlib.import_module(module), name)(**sizes)


@pytest.mark.parametrize("name", STEPS)
def test_both_sides_compute_the_same_and_take_steps(name):
    case = STEPS[name]
    theirs, ours = (build(builder, case.quick) for builder in (case.theirs, case.ours))
    agreement = ours.agreement(theirs.probe())
    assert agreement.keys() == case.tolerances.keys()
    assert all(value <= case.tolerances[key] for key, value in agreement.items()), agreement
    for side in (theirs, ours):
        side.prepare(side.settings[0])()
        for part in side.parts(side.settings[0]).values():
            part()
    assert list(theirs.parts(theirs.settings[0])) == list(ours.parts(ours.settings[0]))


def test_a_step_with_path_length_is_taken_and_timed_apart():
    case = next(case for case in CASES if case.name == "stylegan-3d-path")
    for builder in (case.theirs, case.ours):
        side = build(builder, case.quick)
        side.prepare(side.settings[0])()
        assert list(side.parts(side.settings[0])) == ["path length"]


def test_another_weight_of_the_penalty_is_seen():
    """What is compared depends on every term: a penalty of half the weight must not pass."""
    case = STEPS["wgan-gp-2d"]
    theirs, ours = (build(builder, case.quick) for builder in (case.theirs, case.ours))
    penalty = ours._penalty
    ours._penalty = lambda *arguments: 0.5 * penalty(*arguments)
    agreement = ours.agreement(theirs.probe())
    assert agreement["loss"] > case.tolerances["loss"]
    assert agreement["gradients"] > case.tolerances["gradients"]
