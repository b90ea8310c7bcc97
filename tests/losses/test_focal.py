import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.losses import cross_entropy, focal


def sample():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(3, 4, 5)), jnp.float32)
    return logits, jnp.asarray(rng.uniform(size=(3, 4, 5)) < 0.3)


def test_by_hand():
    # p = 0.8 of the right class: (1 - p)^2 = 0.04.
    logits = jnp.log(jnp.array([[4.0], [0.25]]))
    found = focal.binary_focal(logits, jnp.array([[1], [0]]))
    np.testing.assert_allclose(found, -0.04 * np.log(0.8) * np.array([0.25, 0.75]), rtol=1e-5)


def test_without_focus_it_is_half_the_cross_entropy():
    logits, labels = sample()
    found = focal.binary_focal(logits, labels, gamma=0.0, alpha=0.5)
    np.testing.assert_allclose(found, cross_entropy.binary_cross_entropy(logits, labels) / 2, rtol=1e-5)


def test_easy_sites_weigh_less_than_hard_ones():
    labels = jnp.ones((2, 1))
    logits = jnp.array([[4.0], [-4.0]])
    ratio = focal.binary_focal(logits, labels) / cross_entropy.binary_cross_entropy(logits, labels)
    # (1 - p)^2 / 4 of p = sigma(4) and sigma(-4).
    np.testing.assert_allclose(ratio, 0.25 * np.array([0.0179862, 0.9820138]) ** 2, rtol=1e-4)


def test_stays_finite_with_a_finite_gradient():
    logits = jnp.array([[200.0, -200.0, 0.0]])
    for labels in (jnp.ones((1, 3)), jnp.zeros((1, 3))):
        value, gradient = jax.value_and_grad(lambda z, y=labels: focal.binary_focal(z, y).sum())(logits)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"labels: shape \(2, 3\)"):
        focal.binary_focal(jnp.ones((2, 4)), jnp.ones((2, 3)))
