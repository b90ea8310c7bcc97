import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxmed.ops import interpolation

resize_linear = jax.jit(interpolation.resize_linear, static_argnums=1)


@functools.partial(jax.jit, static_argnums=1)
def image_resize(x, new):
    return jax.image.resize(x, (x.shape[0], *new, x.shape[-1]), "linear", antialias=False)


def sample(shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def scipy_resize(volume, shape):
    positions = [
        np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        for old, new in zip(volume.shape, shape, strict=True)
    ]
    return scipy.ndimage.map_coordinates(volume, np.meshgrid(*positions, indexing="ij"), order=1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((5, 6), (10, 12)),
        ((4, 7), (7, 13)),
        ((4, 5), (8, 9)),
        ((6, 9), (4, 3)),
        ((3, 4), (3, 4)),
        ((1, 3), (2, 7)),
        ((3, 4, 2), (6, 8, 4)),
        ((3, 4, 2), (5, 8, 3)),
        ((6,), (17,)),
    ],
)
def test_equals_scipy_and_jax_image(old, new):
    x = sample((2, *old, 3))
    y = np.asarray(resize_linear(jnp.asarray(x), new))
    np.testing.assert_allclose(y, image_resize(x, new), atol=1e-5)  # jax.image computes positions in float32
    for batch in range(2):
        for channel in range(3):
            wanted = scipy_resize(x[batch, ..., channel], new)
            np.testing.assert_allclose(y[batch, ..., channel], wanted, atol=1e-6)


def test_doubling_by_hand():
    y = resize_linear(jnp.array([[[0.0], [4.0], [8.0]]]), (6,))
    np.testing.assert_array_equal(y[0, :, 0], [0, 1, 3, 5, 7, 8])


def test_general_path_by_hand():
    # Positions -1/5, 2/5, 1, 8/5, 11/5 of three elements; the ends are clamped.
    y = resize_linear(jnp.array([[[0.0], [10.0], [20.0]]]), (5,))
    np.testing.assert_allclose(y[0, :, 0], [0, 4, 10, 16, 20], atol=1e-5)


@pytest.mark.parametrize("new", [(8, 10), (7, 9), (2, 3)])
def test_gradient_is_the_adjoint_and_equals_that_of_jax_image(new):
    x, cotangent = sample((1, 4, 5, 2)), sample((1, *new, 2))

    @jax.jit
    def both(x, cotangent):
        found = [jax.vjp(lambda x, f=f: f(x, new), x) for f in (resize_linear, image_resize)]
        return [(y, vjp(cotangent)[0]) for y, vjp in found]

    (y, gradient), (_, reference) = jax.tree.map(np.asarray, both(x, cotangent))
    np.testing.assert_allclose((y * cotangent).sum(), (x * gradient).sum(), rtol=1e-5)
    np.testing.assert_allclose(gradient, reference, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_constants_are_kept_exactly(dtype):
    x = np.full((1, 3, 4, 1), 0.3, dtype)
    y = np.asarray(resize_linear(x, (6, 7)))
    assert y.dtype == dtype
    assert (y == x[0, 0, 0, 0]).all()


def test_doubling_or_one_less_needs_no_gather():
    def text(new):
        return resize_linear.lower(jnp.zeros((1, 4, 4, 1)), new).as_text()

    assert "gather" not in text((8, 8))
    assert "gather" not in text((7, 8))
    assert "gather" in text((6, 8))


@pytest.mark.parametrize("new", [(4,), (4, 0), (4, 4, 4)])
def test_refuses_shapes_that_do_not_fit(new):
    with pytest.raises(ValueError, match="shape"):
        resize_linear(jnp.zeros((1, 2, 2, 1)), new)


@pytest.mark.parametrize(
    ("spatial", "factor"),
    [((5,), 2), ((3, 4), 3), ((3, 2, 5), 2), ((3, 2, 5), (1, 2, 2)), ((3, 2, 5), (3, 1, 2))],
)
def test_nearest_neighbours_are_repetitions_with_gradients(spatial, factor):
    x = wanted = sample((2, *spatial, 3))
    factors = (factor,) * len(spatial) if isinstance(factor, int) else factor
    for axis, times in enumerate(factors, start=1):
        wanted = np.repeat(wanted, times, axis)

    @jax.jit
    def evaluate(x):
        y, vjp = jax.vjp(lambda x: interpolation.upsample_nearest(x, factor), x)
        return y, vjp(y)[0]

    y, gradient = evaluate(x)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_allclose(gradient, np.prod(factors) * x, rtol=1e-6)
    assert jax.eval_shape(lambda x: interpolation.upsample_nearest(x, factor), x > 0).dtype == bool


def test_nearest_neighbours_refuse_factors_that_do_not_fit():
    with pytest.raises(ValueError, match="factor"):
        interpolation.upsample_nearest(jnp.zeros((1, 2, 2, 1)), (2, 2, 2))
