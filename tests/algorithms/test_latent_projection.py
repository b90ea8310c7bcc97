"""Projection onto a linear generator, whose best style and noise are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.algorithms import latent_projection
from jaxmed.algorithms.latent_projection import Search

SIZE, WIDTH = 8, 3


def synthesise(variables, styles, noise):
    images = jnp.einsum("bw,whx->bhx", styles, variables["basis"])[..., None]
    return images + 0.1 * noise[0]


@pytest.fixture(scope="module")
def setting():
    rng = np.random.default_rng(0)
    basis = jnp.asarray(rng.normal(size=(WIDTH, SIZE, SIZE)), jnp.float32)
    noise = (jnp.asarray(rng.normal(size=(2, SIZE, SIZE, 1)), jnp.float32),)
    styles = jnp.asarray(rng.normal(size=(2, WIDTH)), jnp.float32)
    return {"basis": basis}, styles, noise


def project(setting, targets, **options):
    variables, _, noise = setting
    start = jnp.zeros(WIDTH), 1.0
    search = Search(num_steps=100, coarse_factor=4, **options)
    return latent_projection.project(synthesise, variables, targets, start, noise, jax.random.key(0), search)


def test_the_style_that_made_an_image_is_found(setting):
    variables, styles, noise = setting
    found = project(setting, synthesise(variables, styles, noise), with_noise=False)
    np.testing.assert_allclose(found.styles, styles, atol=0.02)
    assert found.losses.shape == (100,)
    assert found.losses[-1] < 1e-3 * found.losses[0]
    np.testing.assert_array_equal(found.noise[0], noise[0])


def test_noise_explains_what_the_style_cannot_and_stays_standard(setting):
    variables, styles, noise = setting
    rng = np.random.default_rng(1)
    other = (jnp.asarray(rng.normal(size=noise[0].shape), jnp.float32),)
    targets = synthesise(variables, styles, other)
    errors = {}
    for with_noise in (False, True):
        found = project(setting, targets, with_noise=with_noise)
        errors[with_noise] = float(jnp.square(found.images - targets).mean())
    assert errors[True] < 0.1 * errors[False]
    np.testing.assert_allclose(found.noise[0].mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(found.noise[0].std(axis=(1, 2, 3)), 1, rtol=1e-4)


def test_loss_sees_both_resolutions():
    loss = functools.partial(latent_projection.projection_loss, coarse_factor=4)
    targets, constant = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
    lattice = jnp.asarray(np.indices((8, 8)).sum(axis=0) % 2 * 2.0 - 1)[None, ..., None]
    np.testing.assert_allclose(loss(constant, targets), 2)
    np.testing.assert_allclose(loss(lattice, targets), 1)
    with pytest.raises(ValueError, match="multiples of 4"):
        loss(jnp.zeros((1, 6, 8, 1)), jnp.zeros((1, 6, 8, 1)))


def test_schedule_rises_and_falls():
    search = Search(num_steps=1000)
    assert latent_projection.schedule(search, 0) == (0.0, 0.05)
    assert latent_projection.schedule(search, 50)[0] == pytest.approx(0.3)
    assert latent_projection.schedule(search, 875)[0] == pytest.approx(0.15)
    assert latent_projection.schedule(search, 375)[1] == pytest.approx(0.05 / 4)
    assert latent_projection.schedule(search, 750)[1] == 0
