"""Games of scalars, whose updates can be written down by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms import gan
from jaxmed.losses import adversarial

RATE, COUNT = 0.1, 4


class Shift(nn.Module):
    """G(z) = b + 0 z: all that it learns is where the real examples lie."""

    @nn.compact
    def __call__(self, z, train):
        b = self.param("b", nn.initializers.constant(0.5), (1,))
        return jnp.broadcast_to(b, z.shape) + 0 * z


class Slope(nn.Module):
    """D(x) = a x."""

    @nn.compact
    def __call__(self, x, train):
        a = self.param("a", nn.initializers.constant(0.25), (1,))
        return x * jnp.broadcast_to(a, x.shape)


def make(num_steps=1, decay=None, **others):
    game = gan.Game(
        draw=lambda key, batch: (gan.draw_latents(key, len(batch["image"]), 1),),
        real=lambda batch: batch["image"],
        discriminator_loss=lambda real, fake, move: adversarial.wasserstein_critic(real, fake),
        generator_loss=lambda fake, move: adversarial.wasserstein_generator(fake),
        **others,
    )
    optimizer = optax.sgd(RATE)
    players = gan.Player(Shift(), optimizer), gan.Player(Slope(), optimizer)
    return gan.gan(*players, game, num_discriminator_steps=num_steps, average_decay=decay)


def real(num_steps):
    rng = np.random.default_rng(0)
    return {"image": rng.normal(2, 1, (COUNT * num_steps, 1)).astype(np.float32)}


def run(algorithm, batch, count):
    state, step = jax.jit(algorithm.init)(jax.random.key(0), batch), jax.jit(algorithm.step)
    states = [state]
    for number in range(count):
        state, metrics = step(state, batch, jax.random.key(number))
        states.append(state)
    return states, metrics


def values(state):
    return float(state.discriminator.params["a"][0]), float(state.generator.params["b"][0])


def test_updates_alternate_as_written_down_by_hand():
    """Losses a (b - mean x) of the critic and -a b of the generator; its updates share no example."""
    batch, decay = real(2), 0.9
    states, metrics = run(make(2, decay), batch, 3)
    a, b, average = 0.25, 0.5, 0.5
    for _ in range(3):
        losses = []
        for number in range(2):
            mean = batch["image"][number::2].mean()
            losses.append(a * (b - mean))
            a -= RATE * (b - mean)
        loss = -a * b
        b += RATE * a
        average = decay * average + (1 - decay) * b
    np.testing.assert_allclose(values(states[-1]), (a, b), rtol=1e-5)
    np.testing.assert_allclose(states[-1].sampler["params"]["b"], [average], rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"], np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(metrics["generator_loss"], loss, rtol=1e-5)
    assert int(states[-1].step) == 3


def test_penalty_draws_the_slope_towards_one():
    """Of a linear critic the gradient is a everywhere, and that of 10 (a - 1)^2 is 20 (a - 1)."""

    def penalty(critic, real, fake, key):
        mixing = adversarial.draw_mixing(key, len(real))
        return 10 * adversarial.gradient_penalty(critic, real, fake, mixing)

    batch = real(1)
    states, _ = run(make(penalty=penalty), batch, 1)
    slope = 0.25 - RATE * (0.5 - batch["image"].mean() + 20 * (0.25 - 1))
    np.testing.assert_allclose(values(states[-1]), (slope, 0.5 + RATE * slope), rtol=1e-5)
    assert states[-1].sampler["params"] is states[-1].generator.params


@pytest.mark.parametrize("every", [1, 2])
def test_regulariser_has_updates_of_its_own_and_remembers(every):
    """In every step or every second one, of b^2 / 2, with the number of its calls as memory."""

    def loss(params, batch_stats, memory, inputs, key):
        size = len(inputs[0])
        return jnp.broadcast_to(params["b"] ** 2 / 2, (size,)), {"calls": memory["calls"] + 1}

    regulariser = gan.Regulariser(loss, {"calls": jnp.zeros(())}, every=every)
    batch = real(1)
    states, _ = run(make(regulariser=regulariser), batch, 3)
    a, b = 0.25, 0.5
    for number in range(3):
        a -= RATE * (b - batch["image"].mean())
        b += RATE * a
        if number % every == 0:
            b -= RATE * b
    np.testing.assert_allclose(values(states[-1]), (a, b), rtol=1e-5)
    assert [float(state.memory["calls"]) for state in states] == [0, 1, *((2, 3) if every == 1 else (1, 2))]


def test_losses_see_classes_and_inputs():
    """A generator that is told a class: the move carries it to both losses."""
    seen = []

    def discriminator_loss(real, fake, move):
        seen.append((move.batch["label"].shape, len(move.inputs), move.fake.shape))
        return adversarial.wasserstein_critic(real, fake)

    game = gan.Game(
        draw=lambda key, batch: (batch["label"][:, None].astype(jnp.float32),),
        real=lambda batch: batch["image"],
        discriminator_loss=discriminator_loss,
        generator_loss=lambda fake, move: (fake * move.inputs[0]).mean(axis=1),
    )
    players = gan.Player(Shift(), optax.sgd(RATE)), gan.Player(Slope(), optax.sgd(RATE))
    batch = {**real(1), "label": np.array([0, 1, 1, 1], np.int32)}
    states, _ = run(gan.gan(*players, game), batch, 1)
    a, b = values(states[-1])
    np.testing.assert_allclose(b, 0.5 - RATE * 0.75 * a, rtol=1e-5)
    assert seen[0] == ((COUNT,), 1, (COUNT, 1))


def test_batches_must_divide_over_the_discriminators_updates():
    with pytest.raises(ValueError, match="multiple of 3"):
        jax.eval_shape(make(3).init, jax.random.key(0), real(1))
    with pytest.raises(ValueError, match="wanted 1 or more"):
        make(0)
