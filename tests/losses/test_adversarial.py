"""Discriminators and generators whose derivatives are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.losses import adversarial
from jaxmed.ops.example_keys import example_keys

BATCH = 5
logistic_discriminator = jax.jit(adversarial.logistic_discriminator, static_argnames="smoothing")
non_saturating_generator = jax.jit(adversarial.non_saturating_generator)
saturating_generator = jax.jit(adversarial.saturating_generator)
least_squares_discriminator = jax.jit(adversarial.least_squares_discriminator)
least_squares_generator = jax.jit(adversarial.least_squares_generator)
wasserstein_critic = jax.jit(adversarial.wasserstein_critic)
wasserstein_generator = jax.jit(adversarial.wasserstein_generator)
gradient_penalty = jax.jit(adversarial.gradient_penalty, static_argnums=0)
path_lengths = jax.jit(adversarial.path_lengths, static_argnums=0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def logits(rng, shape=(BATCH, 3)):
    return rng.normal(size=shape).astype(np.float32)


def log_sigmoid(x):
    return -np.log1p(np.exp(-np.asarray(x, np.float64)))


def test_logistic_losses_equal_their_definitions(rng):
    real, fake = logits(rng), logits(rng)
    expected = -(log_sigmoid(real) + log_sigmoid(-fake)).mean(1)
    np.testing.assert_allclose(logistic_discriminator(real, fake), expected, rtol=1e-5)
    np.testing.assert_allclose(non_saturating_generator(fake), -log_sigmoid(fake).mean(1), rtol=1e-5)
    np.testing.assert_allclose(saturating_generator(fake), log_sigmoid(-fake).mean(1), rtol=1e-5)


def test_smoothing_is_cross_entropy_with_the_smoothed_label(rng):
    real, fake = logits(rng), logits(rng)
    expected = -(0.9 * log_sigmoid(real) + 0.1 * log_sigmoid(-real) + log_sigmoid(-fake)).mean(1)
    value = logistic_discriminator(real, fake, smoothing=0.1)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_best_discriminator_reaches_twice_the_jensen_shannon_divergence_less_log_four():
    """Two Bernoulli distributions: the optimal logit is log p / q."""
    p, q = np.array([0.3, 0.7]), np.array([0.6, 0.4])
    best = np.log(p / q).astype(np.float32)
    value = logistic_discriminator(best, best)  # per outcome: softplus(-l) + softplus(l)
    real_part = np.logaddexp(0, -best)
    loss = (p * real_part).sum() + (q * (np.asarray(value) - real_part)).sum()
    mixture = (p + q) / 2
    divergence = ((p * np.log(p / mixture)).sum() + (q * np.log(q / mixture)).sum()) / 2
    np.testing.assert_allclose(loss, np.log(4) - 2 * divergence, rtol=1e-6)


def test_only_the_saturating_generator_is_flat_where_the_discriminator_is_sure():
    sure = np.array([-20], np.float32)
    flat, steep = (
        np.asarray(jax.jit(jax.grad(lambda x, loss=loss: loss(x).sum()))(sure))[0]
        for loss in (adversarial.saturating_generator, adversarial.non_saturating_generator)
    )
    assert abs(flat) < 1e-8
    np.testing.assert_allclose(steep, -1, rtol=1e-6)


def test_logistic_losses_stay_finite():
    huge = np.array([1e4, -1e4], np.float32)
    value = logistic_discriminator(huge, -huge)
    np.testing.assert_allclose(value, [0, 2e4])


def test_least_squares_vanish_at_their_labels(rng):
    ones, zeros = np.ones((BATCH, 2), np.float32), np.zeros((BATCH, 2), np.float32)
    assert not np.any(least_squares_discriminator(ones, zeros))
    assert not np.any(least_squares_generator(ones))
    real, fake = logits(rng), logits(rng)
    expected = (0.5 * (np.asarray(real) - 1) ** 2 + 0.5 * np.asarray(fake) ** 2).mean(1)
    np.testing.assert_allclose(least_squares_discriminator(real, fake), expected, rtol=1e-5)
    np.testing.assert_allclose(
        least_squares_generator(fake), 0.5 * ((np.asarray(fake) - 1) ** 2).mean(1), rtol=1e-5
    )


def test_wasserstein_losses_are_differences(rng):
    real, fake = logits(rng), logits(rng)
    np.testing.assert_allclose(wasserstein_critic(real, fake), (fake - real).mean(1), atol=1e-6)
    np.testing.assert_allclose(wasserstein_generator(fake), -fake.mean(1), rtol=1e-6)


def test_gradient_penalty_of_a_linear_critic(rng):
    """The slope of w . x is w everywhere."""
    weight = logits(rng, (4, 6))
    real, fake = logits(rng, (BATCH, 4, 6)), logits(rng, (BATCH, 4, 6))
    value = gradient_penalty(
        lambda x: jnp.einsum("bij,ij->b", x, weight), real, fake, np.full(BATCH, 0.3, np.float32)
    )
    np.testing.assert_allclose(value, (np.linalg.norm(weight) - 1) ** 2, rtol=1e-4)


def test_gradient_penalty_of_a_quadratic_critic_mixes_by_example(rng):
    """The slope of |x|^2 / 2 is x itself, so the penalty shows where between real and fake it was taken."""
    real, fake = logits(rng), logits(rng)
    mixing = np.array([0, 0.25, 0.5, 0.75, 1], np.float32)
    value = gradient_penalty(lambda x: (x**2).sum(1) / 2, real, fake, mixing)
    between = np.asarray(mixing)[:, None] * np.asarray(real) + (1 - np.asarray(mixing)[:, None]) * np.asarray(
        fake
    )
    np.testing.assert_allclose(value, (np.linalg.norm(between, axis=1) - 1) ** 2, rtol=1e-4)


def test_gradient_penalty_trains_the_critic_and_not_the_examples(rng):
    real, fake = logits(rng), logits(rng)

    def penalty(scale, real, fake):
        critic = lambda x: scale * x.sum(1)  # noqa: E731
        return adversarial.gradient_penalty(critic, real, fake, jnp.full(len(real), 0.5)).mean()

    slopes = jax.jit(jax.grad(penalty, argnums=(0, 1, 2)))(2.0, real, fake)
    by_scale, by_real, by_fake = map(np.asarray, slopes)
    np.testing.assert_allclose(by_scale, 2 * (2 * np.sqrt(3) - 1) * np.sqrt(3), rtol=1e-5)
    assert not by_real.any()
    assert not by_fake.any()


def test_flat_critic_has_a_finite_derivative():
    flat = lambda scale: adversarial.gradient_penalty(  # noqa: E731
        lambda x: scale * x.sum(1), jnp.ones((2, 3)), jnp.zeros((2, 3)), jnp.full(2, 0.5)
    )
    np.testing.assert_allclose(jax.jit(flat)(0.0), 1)
    assert np.isfinite(jax.jit(jax.grad(lambda scale: flat(scale).sum()))(0.0))


def test_mixing_is_one_number_per_example_in_the_unit_interval():
    key = jax.random.key(0)
    mixing = np.asarray(jax.jit(adversarial.draw_mixing, static_argnums=1)(key, 1000))
    assert mixing.shape == (1000,)
    assert 0 <= mixing.min() < 0.01 and 0.99 < mixing.max() < 1
    np.testing.assert_allclose(mixing.mean(), 0.5, atol=4 / np.sqrt(12 * 1000))
    wanted = jax.jit(lambda key: jax.random.uniform(example_keys(key, 8)[7]))(key)
    np.testing.assert_array_equal(mixing[7], wanted)


def test_r1_of_a_quadratic_discriminator(rng):
    real = logits(rng, (BATCH, 3, 2))
    value = jax.jit(lambda real: adversarial.r1_penalty(lambda x: 1.5 * (x**2).sum((1, 2)), real))(real)
    np.testing.assert_allclose(value, 0.5 * 9 * (np.asarray(real) ** 2).sum((1, 2)), rtol=1e-5)


def test_r1_of_a_discriminator_of_patches_is_that_of_its_mean(rng):
    real = logits(rng, (BATCH, 4))
    value = jax.jit(lambda real: adversarial.r1_penalty(lambda x: x**2, real))(real)
    np.testing.assert_allclose(value, 0.5 * (0.25 * np.asarray(real) ** 2).sum(1), rtol=1e-5)


def test_path_lengths_of_a_linear_generator(rng):
    """Images A w: the lengths are |A^T y| / sqrt(pixels)."""
    matrix, latents = logits(rng, (4 * 5 * 2, 3)), logits(rng, (BATCH, 3))
    noise = logits(rng, (BATCH, 4, 5, 2))
    lengths = path_lengths(lambda w: (w @ matrix.T).reshape(-1, 4, 5, 2), latents, noise)
    expected = np.linalg.norm(np.asarray(noise).reshape(BATCH, -1) @ np.asarray(matrix), axis=1) / np.sqrt(20)
    np.testing.assert_allclose(lengths, expected, rtol=1e-4)


def test_path_lengths_average_squares_over_layers(rng):
    matrix, latents = logits(rng, (20, 3)), logits(rng, (BATCH, 2, 3))
    noise = logits(rng, (BATCH, 4, 5, 1))
    both = path_lengths(lambda w: ((w[:, 0] + 2 * w[:, 1]) @ matrix.T).reshape(-1, 4, 5, 1), latents, noise)
    one = path_lengths(lambda w: (w @ matrix.T).reshape(-1, 4, 5, 1), latents[:, 0], noise)
    np.testing.assert_allclose(both, np.asarray(one) * np.sqrt((1 + 4) / 2), rtol=1e-5)


def test_path_length_penalty_follows_its_mean():
    lengths = jnp.array([1.0, 3.0])
    penalty, mean = adversarial.path_length_penalty(lengths, jnp.array(4.0), decay=0.75)
    np.testing.assert_allclose(mean, 3.5)
    np.testing.assert_allclose(penalty, [6.25, 0.25])
    mean = jnp.array(0.0)
    for _ in range(60):
        _, mean = adversarial.path_length_penalty(lengths, mean, decay=0.8)
    np.testing.assert_allclose(mean, 2, rtol=1e-5)
    slope = jax.grad(lambda x: adversarial.path_length_penalty(x, jnp.array(4.0), decay=0.75)[0].sum())(
        lengths
    )
    np.testing.assert_allclose(slope, 2 * (np.array([1, 3]) - 3.5))
