"""Losses of the games, where logits are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.algorithms import gan_games
from jaxmed.algorithms.gan import Move

BATCH = {"image": jnp.ones((4, 2, 2, 1)), "label": jnp.array([0, 1, 2, 0])}
LOG_2 = np.log(2)


def real(batch):
    return batch["image"]


def move(game):
    inputs = game.draw(jax.random.key(0), BATCH)
    return Move(BATCH, inputs, jnp.zeros((4, 2, 2, 1)))


@pytest.mark.parametrize(
    ("make", "discriminator", "generator"),
    [
        (gan_games.non_saturating, 2 * LOG_2, LOG_2),
        (gan_games.least_squares, 0.5, 0.5),
        (gan_games.wasserstein, 0.0, 0.0),
    ],
)
def test_losses_of_logits_that_are_zero(make, discriminator, generator):
    game, logits = make(real, 7), jnp.zeros((4, 1))
    now = move(game)
    assert [x.shape for x in now.inputs] == [(4, 7)]
    np.testing.assert_allclose(game.discriminator_loss(logits, logits, now), discriminator, rtol=1e-6)
    np.testing.assert_allclose(game.generator_loss(logits, now), generator, rtol=1e-6)


def test_smoothing_moves_the_best_logit_of_real_images():
    game = gan_games.non_saturating(real, 7, smoothing=0.1)
    fake = jnp.zeros((4, 1))

    def loss(logit):
        return game.discriminator_loss(jnp.full((4, 1), logit), fake, move(game)).mean()

    np.testing.assert_allclose(jax.grad(loss)(np.log(9.0)), 0, atol=1e-6)


def test_auxiliary_classes_are_learned_by_both():
    """Even logits cost log 2 for each source and log 3 for each class; both want the class to be right."""
    game = gan_games.auxiliary_classifier(real, 7)
    now = move(game)
    np.testing.assert_array_equal(now.inputs[1], BATCH["label"])
    even = jnp.zeros((4, 1)), jnp.zeros((4, 3))
    right = even[0], 20 * jax.nn.one_hot(BATCH["label"], 3)
    np.testing.assert_allclose(game.discriminator_loss(even, even, now), 2 * LOG_2 + 2 * np.log(3), rtol=1e-6)
    np.testing.assert_allclose(game.discriminator_loss(right, right, now), 2 * LOG_2, rtol=1e-5)
    np.testing.assert_allclose(game.generator_loss(right, now), LOG_2, rtol=1e-5)


def test_penalty_is_weighted():
    """The critic 3 x has the slope 3 * 2 over four pixels: 5 (6 - 1)^2."""
    game = gan_games.wasserstein(real, 7, penalty_weight=5.0)
    assert game.penalty is not None

    def critic(x):
        return 3 * x.sum(axis=(1, 2))

    found = game.penalty(critic, BATCH["image"], jnp.zeros((4, 2, 2, 1)), jax.random.key(0))
    np.testing.assert_allclose(found, 125, rtol=1e-5)
