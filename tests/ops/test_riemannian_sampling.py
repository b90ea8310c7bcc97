"""Chains against numerical integration on a grid in two dimensions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import riemannian, riemannian_sampling


@pytest.fixture(scope="module")
def metric():
    """Strong centroids above a low floor: nearly all of the density lies around them."""
    rng = np.random.default_rng(0)
    matrices = jax.jit(riemannian.squared_factors)(
        jnp.asarray(0.3 * rng.normal(size=(4, 2)), jnp.float32),
        jnp.asarray(rng.normal(size=(4, 1)), jnp.float32),
    )
    centroids = jnp.asarray(np.array([[0.0, 0.0], [1.0, 0.2], [0.4, 1.1], [-0.7, 0.6]], np.float32))
    return riemannian.Metric(centroids, matrices, 0.9, 1e-3)


volume = jax.jit(riemannian.log_volume)
GRID = np.linspace(-4, 5, 181)


@pytest.fixture(scope="module")
def density(metric):
    """sqrt(det G^-1) on the grid, which ends where chains do not come; sums to 1."""
    x, y = np.meshgrid(GRID, GRID, indexing="ij")
    points = jnp.asarray(np.stack([x, y], -1).reshape(-1, 2), jnp.float32)
    values = np.exp(-np.asarray(volume(metric, points), np.float64))
    return points, values


walk = jax.jit(riemannian_sampling.walk, static_argnames=("num_moves", "variance"))


def start(count, metric):
    return jnp.asarray(np.tile(metric.centroids, (count // 4, 1)))


@pytest.fixture(scope="module")
def hmc(metric):
    static = ("num_moves", "num_leapfrog", "step_size")
    sample = jax.jit(riemannian_sampling.sample_inverse_volume, static_argnames=static)
    return sample(
        jax.random.key(0), metric, start(4000, metric), num_moves=30, num_leapfrog=10, step_size=0.2
    )


def test_histogram_matches_the_inverse_volume(hmc, density):
    """Marginals of the chains against the grid, where the density is above its floor."""
    points, values = density
    inside = values > 0.03 * values.max()
    shares = values[inside] / values[inside].sum()
    expected_mean = shares @ np.asarray(points)[inside]
    expected_std = np.sqrt(shares @ (np.asarray(points)[inside] - expected_mean) ** 2)
    z = np.asarray(hmc.z)
    nearest = np.abs(z[:, None, :] - GRID[None, :, None]).argmin(axis=1)
    near = np.zeros((181, 181), bool)
    near.reshape(-1)[inside] = True
    kept = z[near[nearest[:, 0], nearest[:, 1]]]
    assert len(kept) > 0.8 * len(z)
    error = expected_std / np.sqrt(len(kept))
    np.testing.assert_array_less(np.abs(kept.mean(0) - expected_mean), 5 * error)
    np.testing.assert_allclose(kept.std(0), expected_std, rtol=0.06)


def test_most_hamiltonian_proposals_are_taken(hmc):
    assert 0.6 < float(np.mean(hmc.acceptance)) <= 1


def test_leapfrog_is_reversible_and_of_second_order(metric):
    slope = jax.grad(lambda z: riemannian.log_volume(metric, z).sum())
    z, momentum = start(4, metric), jnp.asarray(np.random.default_rng(1).normal(size=(4, 2)), jnp.float32)
    run = jax.jit(
        lambda z, p, *steps: riemannian_sampling.leapfrog(slope, z, p, steps[1], steps[0]),
        static_argnums=(2, 3),
    )
    end, final = run(z, momentum, 0.1, 8)
    back, _ = run(end, -np.asarray(final), 0.1, 8)
    np.testing.assert_allclose(back, z, atol=1e-4)

    def energy_error(step, count):
        end, final = run(z, momentum, step, count)
        change = np.asarray(volume(metric, end)) - np.asarray(volume(metric, z))
        kinetic = (np.square(final) - np.square(momentum)).sum(-1) / 2
        return float(np.abs(change + kinetic).max())

    assert energy_error(0.2, 4) > 3 * energy_error(0.1, 8) > 9 * energy_error(0.05, 16)


def test_walk_accepts_as_numerical_integration_says(metric):
    """One move from a point: the mean of min(1, ratio) over a fine grid of velocities."""
    z = np.array([[0.9, 0.9]], np.float32)
    variance = 0.5
    axis = np.linspace(-4, 4, 61)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    weights = np.exp(-(x**2 + y**2) / 2).reshape(-1)
    velocity = jnp.asarray(np.sqrt(variance) * np.stack([x, y], -1).reshape(-1, 2), jnp.float32)
    proposals = jax.jit(riemannian.exponential_map)(metric, np.tile(z, (len(velocity), 1)), velocity)
    ratio = np.exp(np.asarray(volume(metric, z)) - np.asarray(volume(metric, proposals)))
    expected = (weights * np.minimum(np.where(np.isfinite(ratio), ratio, 0), 1)).sum() / weights.sum()
    count = 20_000
    chains = walk(jax.random.key(1), metric, np.tile(z, (count, 1)), num_moves=1, variance=variance)
    rate = float(np.mean(chains.acceptance))
    error = np.sqrt(expected * (1 - expected) / count)
    assert 0.1 < expected < 0.9
    np.testing.assert_allclose(rate, expected, atol=4 * error + 2e-3)


def test_every_short_proposal_is_taken(metric):
    chains = walk(jax.random.key(2), metric, start(400, metric), num_moves=3, variance=1e-6)
    assert float(np.mean(chains.acceptance)) > 0.99
    assert float(np.abs(np.asarray(chains.z) - start(400, metric)).max()) < 0.05


def test_wrapped_normal_of_a_flat_space_is_normal(metric):
    flat = metric._replace(matrices=np.zeros_like(metric.matrices))
    draw = jax.jit(riemannian_sampling.draw_wrapped_normal, static_argnames="variance")
    z = np.asarray(draw(jax.random.key(3), flat, np.ones((4000, 2), np.float32), variance=0.25))
    np.testing.assert_allclose(z.mean(0), 1, atol=4 * 0.5 / np.sqrt(4000))
    np.testing.assert_allclose(z.std(0), 0.5, rtol=0.05)


def test_implicit_leapfrog_conserves_energy_to_second_order_and_goes_back(metric):
    def energy(z, momentum):
        kinetic = riemannian.kinetic_energy(metric, z, momentum)
        return kinetic + riemannian.log_volume(metric, z) + jnp.square(z).sum(-1) / 2

    @functools.partial(jax.jit, static_argnums=(2, 3))
    def run(z, momentum, step, count):
        def body(_, state):
            return riemannian_sampling.implicit_leapfrog(energy, *state, step_size=step, num_iterations=12)

        end = jax.lax.fori_loop(0, count, body, (z, momentum))
        return *end, energy(*end) - energy(z, momentum)

    z = start(4, metric)
    momentum = jnp.asarray(0.5 * np.random.default_rng(2).normal(size=(4, 2)), jnp.float32)
    errors = [float(np.abs(run(z, momentum, step, round(0.4 / step))[2]).max()) for step in (0.1, 0.05)]
    assert errors[0] > 2.5 * errors[1]
    assert errors[1] < 0.02
    end, final, _ = run(z, momentum, 0.05, 8)
    back, _, _ = run(end, -np.asarray(final), 0.05, 8)
    np.testing.assert_allclose(back, z, atol=1e-3)
