"""Normalised cross-correlation against its definition, place by place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import template_matching

match = jax.jit(template_matching.match_template, static_argnames="zero_mean")


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    images = rng.random((6, 5, 4)).astype(np.float32)
    return images, np.asarray(template_matching.lattice(jnp.asarray(images), 3))


@pytest.mark.parametrize("zero_mean", [False, True])
def test_correlation_is_its_definition(arrays, zero_mean):
    images, whole = arrays
    assert whole.shape == (10, 12)
    templates = np.stack([images[1], np.random.default_rng(1).random((5, 4)).astype(np.float32)])
    found = np.asarray(match(jnp.asarray(templates), jnp.asarray(whole), zero_mean=zero_mean))
    assert found.shape == (2, 6, 9)
    for number, template in enumerate(templates.astype(np.float64)):
        for p, q in np.ndindex(6, 9):
            x, g = template, whole[p : p + 5, q : q + 4].astype(np.float64)
            if zero_mean:
                x, g = x - x.mean(), g - g.mean()
            expected = (x * g).sum() / np.sqrt((x**2).sum() * (g**2).sum())
            np.testing.assert_allclose(found[number, p, q], expected, atol=1e-4)


def test_an_image_matches_itself_where_it_lies(arrays):
    images, whole = arrays
    found = np.asarray(match(jnp.asarray(images), jnp.asarray(whole), zero_mean=True))
    for number, heat in enumerate(found):
        place = np.unravel_index(heat.argmax(), heat.shape)
        assert place == (5 * (number // 3), 4 * (number % 3))
        np.testing.assert_allclose(heat.max(), 1, atol=1e-4)


def test_brightness_and_contrast_do_not_matter_without_means(arrays):
    images, whole = arrays
    first, second = (
        match(jnp.asarray(x), jnp.asarray(whole), zero_mean=True) for x in (images, 3 * images + 7)
    )
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_flat_places_and_templates_have_no_correlation(arrays):
    _, whole = arrays
    flat = np.concatenate([whole, np.full((8, 12), 0.5, np.float32)])
    templates = np.stack([whole[:5, :4], np.full((5, 4), 0.25, np.float32)])
    found = np.asarray(match(jnp.asarray(templates), jnp.asarray(flat), zero_mean=True))
    np.testing.assert_array_equal(found[0, 11:], 0)
    np.testing.assert_array_equal(found[1], 0)


def test_templates_must_fit():
    with pytest.raises(ValueError, match="do not fit"):
        template_matching.match_template(jnp.zeros((1, 5, 5)), jnp.zeros((4, 9)))
