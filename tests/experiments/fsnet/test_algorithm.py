"""Channel code, label code, weights, parameter counts and the loss, worked out by hand."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from data_pipelines.imaging_sets import SETS
from experiments.fsnet import algorithm, data
from experiments.fsnet.config import PRESETS, Scenario, choose

PAPER = PRESETS["paper"]


def count(config):
    names = algorithm.trained_sets(config)
    images = [jnp.zeros((1, 6, 16, 16, len(SETS[name].sequences))) for name in names]
    model = algorithm.make_model(config, names)
    variables = jax.eval_shape(lambda key: model.init(key, images, train=False), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def plain(method):
    """Without normalisation, and with the transposed convolutions of 2^3 that the published count has."""
    heart = replace(PAPER.heart, depth_strides=(2, 2, 2))
    return replace(PAPER, norm="none", heart=heart, method=method)


def test_parameters_of_the_paper():
    assert count(plain("unet")) == 1_255_331
    # Three classes more, each of 16 weights and a bias.
    assert count(plain("joint")) == 1_255_382 == 1_255_331 + 3 * 17
    # One channel more at the input: 27 * 16 weights.
    assert count(plain("no_module")) == 1_255_382 + 27 * 16
    # Eight channels in instead of one, and two modules of 2 * 8 weights and 8 biases; without coding 8 and 8.
    assert count(plain("fsnet")) == 1_255_382 + 7 * 27 * 16 + 2 * (2 * 8 + 8)
    assert count(plain("no_coding")) == 1_255_382 + 7 * 27 * 16 + 2 * (8 + 8)
    assert count(plain("no_weights")) == count(plain("fsnet"))


def test_channel_code_gives_every_set_its_own_channels():
    brain = choose(PAPER, "brain")
    names = brain.chosen.sets

    def code(method, names):
        return algorithm.channel_code(replace(brain, method=method), names)

    assert code("fsnet", names) == ((0, 4), (2, 0))
    assert code("no_coding", names) == ((0, 0), (0, 0))
    assert code("joint", names) == ((0, 2), (0, 0))
    assert code("pretraining", names[:1]) == ((0, 2),)
    assert code("unet", names[:1]) == ((0, 0),)


def test_joint_labels_are_unique_and_share_the_background():
    names = ("hvsmr", "mnms", "wmh", "brats")
    assert algorithm.first_labels(names) == [1, 3, 6, 7]
    assert algorithm.make_model(PAPER, names).network.out_channels == 10


def test_weights_are_those_of_the_paper_and_sum_to_one():
    def weights(method, names):
        return algorithm.loss_weights(replace(PAPER, method=method), names)

    assert weights("fsnet", ("hvsmr", "mnms")) == pytest.approx((0.95, 0.05))
    assert weights("fsnet", ("hvsmr", "mnms", "wmh")) == pytest.approx((0.95, 0.025, 0.025))
    assert weights("no_weights", ("hvsmr", "mnms")) == weights("joint", ("hvsmr", "mnms")) == (0.5, 0.5)
    assert weights("unet", ("hvsmr",)) == (1.0,)


def test_step_weighs_the_losses_as_in_equation_1(tiny, tiny_data, tiny_state):
    step = jax.jit(algorithm.make_algorithm(tiny, None).step)
    _, metrics = step(tiny_state, next(tiny_data.batches(0)), jax.random.key(1))
    wanted = 0.95 * metrics["loss hvsmr"] + 0.05 * metrics["loss mnms"]
    assert float(metrics["loss"]) == pytest.approx(float(wanted), rel=1e-6)


def test_any_number_of_sets_is_trained_at_once(tiny):
    three = replace(tiny, heart=replace(tiny.heart, sets=("hvsmr", "mnms", "wmh")))
    batch, training = data.example_batch(three), algorithm.make_algorithm(three, None)
    state = jax.eval_shape(training.init, jax.random.key(0), batch)
    _, metrics = jax.eval_shape(training.step, state, batch, jax.random.key(0))
    assert {"loss hvsmr", "loss mnms", "loss wmh"} <= set(metrics)
    assert state.net.params["network"]["head"]["kernel"].shape[-1] == 7


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="sets is"):
        Scenario(sets=("hvsmr",))
    with pytest.raises(ValueError, match="depth_strides is"):
        replace(PAPER, widths=(16, 32))
    with pytest.raises(ValueError, match="main_weight is 1"):
        replace(PAPER, main_weight=1.0)


@pytest.mark.parametrize(
    "strides", [(2, 2, 2), *(pytest.param(x, marks=pytest.mark.exhaustive) for x in ((1, 1, 1), (2, 1, 1)))]
)
def test_patches_of_depth_six_come_back_whole_under_every_reading(strides):
    """6 -> 3 -> 1.5 is no size: odd ones are rounded up, and what is too much is cut off on the way back."""
    heart = replace(PAPER.heart, depth_strides=strides)
    config = replace(PAPER, method="unet", widths=(2, 2, 2, 2), heart=heart)
    model = algorithm.make_model(config, ("hvsmr",))
    logits = jax.eval_shape(
        lambda key, x: model.init_with_output(key, [x], train=False)[0],
        jax.random.key(0),
        jnp.zeros((1, 6, 16, 16, 1)),
    )
    assert logits.shape == (1, 1, 6, 16, 16, 3)
