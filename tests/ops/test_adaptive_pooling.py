"""Adaptive average pooling: by hand, as a mean, repeated elements."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops.adaptive_pooling import adaptive_average_pool

X = np.random.default_rng(0).normal(size=(2, 7, 5, 3)).astype(np.float32)


def by_hand(x, shape):
    """The definition, window by window."""
    out = np.empty((len(x), *shape, x.shape[-1]))
    for i in range(shape[0]):
        for j in range(shape[1]):
            rows = slice(i * x.shape[1] // shape[0], -(-(i + 1) * x.shape[1] // shape[0]))
            columns = slice(j * x.shape[2] // shape[1], -(-(j + 1) * x.shape[2] // shape[1]))
            out[:, i, j] = x[:, rows, columns].mean((1, 2))
    return out


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (3, 2), (7, 7), (9, 4)])
def test_windows_are_those_of_the_definition(shape):
    np.testing.assert_allclose(adaptive_average_pool(jnp.asarray(X), shape), by_hand(X, shape), atol=1e-6)


def test_one_window_is_the_mean_and_constants_are_kept():
    np.testing.assert_allclose(
        adaptive_average_pool(jnp.asarray(X), (1, 1))[:, 0, 0], X.mean((1, 2)), atol=1e-6
    )
    np.testing.assert_allclose(adaptive_average_pool(jnp.full((1, 11, 6, 1), 2.5), (4, 4)), 2.5, rtol=1e-6)


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        adaptive_average_pool(jnp.asarray(X), (3,))
    with pytest.raises(ValueError, match="shape"):
        adaptive_average_pool(jnp.asarray(X), (0, 3))
