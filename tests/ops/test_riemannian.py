import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import riemannian

DIM, COUNT = 3, 12
inverse_metric = jax.jit(riemannian.inverse_metric)
exponential_map = jax.jit(riemannian.exponential_map)


def make_metric(dim=DIM, count=COUNT, seed=0, floor=1e-2, dtype=np.float32):
    rng = np.random.default_rng(seed)
    matrices = jax.jit(riemannian.squared_factors)(
        jnp.asarray(0.3 * rng.normal(size=(count, dim)), dtype),
        jnp.asarray(0.5 * rng.normal(size=(count, dim * (dim - 1) // 2)), dtype),
    )
    return riemannian.Metric(jnp.asarray(rng.normal(size=(count, dim)), dtype), matrices, 0.8, floor)


@pytest.fixture(scope="module")
def metric():
    return make_metric()


@pytest.fixture(scope="module")
def shots():
    """Geodesics in 64 bits with 10, 20 and 40 steps, from one start: positions and momenta."""
    with jax.enable_x64(True):
        metric = make_metric(dtype=np.float64, floor=0.1)
        rng = np.random.default_rng(1)
        z, velocity = rng.normal(size=(2, 6, DIM))
        shoot = jax.jit(riemannian.shoot, static_argnames=("num_steps", "duration"))
        paths = {steps: shoot(metric, z, velocity, num_steps=steps) for steps in (40, 80, 160)}
        energy = jax.jit(jax.vmap(lambda z, p: riemannian.kinetic_energy(metric, z, p)))
        energies = {steps: np.asarray(energy(*path)) for steps, path in paths.items()}
        back = shoot(metric, z, velocity, num_steps=160, duration=0.5)
        return {"paths": paths, "energies": energies, "velocity": np.asarray(velocity), "half": back}


def points(count=5, dim=DIM, seed=2, scale=1.0):
    return jnp.asarray(scale * np.random.default_rng(seed).normal(size=(count, dim)), jnp.float32)


def test_inverse_metric_equals_the_sum(metric):
    z = points()
    expected = np.zeros((5, DIM, DIM))
    for b, point in enumerate(np.asarray(z, np.float64)):
        for centroid, matrix in zip(np.asarray(metric.centroids), np.asarray(metric.matrices), strict=True):
            expected[b] += matrix * np.exp(-((point - centroid) ** 2).sum() / 0.64)
    np.testing.assert_allclose(inverse_metric(metric, z), expected + 1e-2 * np.eye(DIM), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 3.0, 100.0])
def test_is_symmetric_and_positive_definite_everywhere(metric, scale):
    inverse = np.asarray(inverse_metric(metric, points(200, scale=scale)), np.float64)
    np.testing.assert_array_equal(inverse, inverse.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(inverse).min() > 0.99e-2


def test_factors_fill_the_lower_triangle_row_by_row():
    matrix = jax.jit(riemannian.squared_factors)(
        np.log(np.array([[1, 2, 3]], np.float32)), np.array([[4, 5, 6]], np.float32)
    )
    lower = np.array([[1, 0, 0], [4, 2, 0], [5, 6, 3]])
    np.testing.assert_allclose(np.asarray(matrix)[0], lower @ lower.T, rtol=1e-5)
    with pytest.raises(ValueError, match="2 entries below a diagonal of 3"):
        riemannian.squared_factors(jnp.zeros((1, 3)), jnp.zeros((1, 2)))


def test_metric_and_inverse_cancel(metric):
    z, velocity = points(), points(seed=3)
    momentum = jax.jit(riemannian.apply_metric)(metric, z, velocity)
    back = np.einsum("bij,bj->bi", inverse_metric(metric, z), momentum)
    np.testing.assert_allclose(back, velocity, rtol=1e-3, atol=1e-4)


def test_log_volume_equals_numpy_and_its_gradient_the_trace(metric):
    """d/dz_k log det G^-1 / 2 = -sum_i tr(G M_i) (z - c_i)_k w_i / T^2."""
    z = points()
    inverse = np.asarray(riemannian.inverse_metric(metric, z), np.float64)
    volume = lambda z: riemannian.log_volume(metric, z)  # noqa: E731
    value, slope = jax.jit(lambda z: (volume(z), jax.grad(lambda z: volume(z).sum())(z)))(z)
    np.testing.assert_allclose(value, -0.5 * np.linalg.slogdet(inverse)[1], rtol=1e-4)
    away = np.asarray(z)[:, None] - np.asarray(metric.centroids)[None]
    weights = np.exp(-(away**2).sum(-1) / 0.64)
    traces = np.einsum("bij,nji->bn", np.linalg.inv(inverse), np.asarray(metric.matrices))
    expected = np.einsum("bn,bnk->bk", traces * weights, away) / 0.64
    np.testing.assert_allclose(slope, expected, rtol=2e-3, atol=1e-4)


def test_volume_far_away_is_that_of_the_floor_in_ten_dimensions():
    metric = make_metric(dim=10, floor=1e-3)
    value = jax.jit(riemannian.log_volume)(metric, np.full((1, 10), 1e3, np.float32))
    np.testing.assert_allclose(value, riemannian.far_log_volume(10, 1e-3), rtol=1e-5)
    np.testing.assert_allclose(np.exp(-np.asarray(value)), 1e-15, rtol=1e-3)


def test_energy_is_conserved(shots):
    energy = shots["energies"][160]
    np.testing.assert_allclose(energy / energy[0], 1, atol=1e-3)


def test_energy_error_falls_with_the_square_of_the_steps(shots):
    errors = [
        np.abs(energy[-1] / energy[0] - 1).max() for energy in (shots["energies"][n] for n in (40, 80, 160))
    ]
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert (orders > 1.7).all(), orders


def test_positions_converge_with_the_square_of_the_steps(shots):
    ends = [np.asarray(shots["paths"][n][0])[-1] for n in (40, 80, 160)]
    order = np.log2(np.abs(ends[0] - ends[1]).max() / np.abs(ends[1] - ends[2]).max())
    assert 1.7 < order < 3.3, order


def test_speed_is_constant_and_the_start_is_the_velocity(shots):
    positions, momenta = shots["paths"][160]
    with jax.enable_x64(True):
        metric = make_metric(dtype=np.float64, floor=0.1)
        inverse = inverse_metric(metric, np.asarray(positions)[0])
        velocity = np.einsum("bij,bj->bi", np.asarray(inverse), np.asarray(momenta)[0])
    np.testing.assert_allclose(velocity, shots["velocity"], rtol=1e-8)
    half = np.asarray(shots["half"][0])[-1]
    np.testing.assert_allclose(half, np.asarray(positions)[80], atol=1e-3)


def test_exponential_of_zero_velocity_stays(metric):
    z = points()
    np.testing.assert_allclose(exponential_map(metric, z, np.zeros_like(z)), z, atol=1e-7)


def test_geodesics_of_a_flat_space_are_straight(metric):
    flat = metric._replace(matrices=np.zeros_like(metric.matrices))
    z, velocity = points(), points(seed=4)
    np.testing.assert_allclose(
        exponential_map(flat, z, velocity), np.asarray(z) + np.asarray(velocity), rtol=1e-5, atol=1e-5
    )
