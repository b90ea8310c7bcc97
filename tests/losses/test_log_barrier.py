"""The extended log-barrier: values by hand, continuity of value and slope, its limit, its derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.losses.log_barrier import log_barrier


@pytest.mark.parametrize(
    ("z", "wanted"),
    [
        (-1.0, 0.0),
        (-0.5, np.log(2) / 5),
        (-0.04, np.log(25) / 5),
        (0.0, np.log(25) / 5 + 0.2),
        (1.0, np.log(25) / 5 + 5.2),
        (-np.e, -0.2),
    ],
)
def test_values_for_t_of_5(z, wanted):
    assert float(log_barrier(jnp.float32(z), 5.0)) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("t", [0.5, 1.0, 5.0, 40.0])
def test_value_and_slope_are_continuous_at_the_join(t):
    with jax.enable_x64(True):
        join = -1 / np.float64(t) ** 2
        below, above = (jnp.float64(join * (1 + sign * 1e-9)) for sign in (1, -1))
        slope = jax.grad(lambda z: log_barrier(z, t))
        np.testing.assert_allclose(log_barrier(below, t), log_barrier(above, t), atol=1e-8 / t)
        np.testing.assert_allclose([slope(below), slope(above)], [t, t], rtol=1e-8)


def test_the_continuation_has_the_slope_t_everywhere():
    z = jnp.linspace(-0.03, 50.0, 7)
    np.testing.assert_allclose(jax.vmap(jax.grad(lambda z: log_barrier(z, 5.0)))(z), 5.0, rtol=1e-6)


def test_slope_inside_is_that_of_the_barrier():
    z = jnp.array([-30.0, -2.0, -0.05])
    np.testing.assert_allclose(jax.vmap(jax.grad(lambda z: log_barrier(z, 5.0)))(z), -1 / (5 * z), rtol=1e-6)


def test_the_limit_is_the_constraint():
    """0 inside, infinity outside; and nothing overflows at the t of 100 epochs."""
    inside = [abs(float(log_barrier(jnp.float32(-0.1), t))) for t in (5.0, 50.0, 500.0, 68_903.0)]
    outside = [float(log_barrier(jnp.float32(0.1), t)) for t in (5.0, 50.0, 500.0, 68_903.0)]
    assert inside == sorted(inside, reverse=True)
    assert inside[-1] < 1e-4
    assert outside == sorted(outside)
    assert outside[-1] == pytest.approx(6890.3, rel=1e-3)


def test_gradients_are_finite_far_on_both_sides():
    z = jnp.array([-1e30, -1e-30, 0.0, 1e30])
    assert np.isfinite(jax.vmap(jax.grad(lambda z: log_barrier(z, 500.0)))(z)).all()
