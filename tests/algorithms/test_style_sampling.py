"""A style-based generator in use: fixed noise, truncation, crossovers at their ends, projection."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.algorithms.latent_projection import Search
from jaxmed.algorithms.style_sampling import StyleSampler
from jaxmed.ops.styles import repeat_styles


class Linear(NamedTuple):
    """Styles are twice the latents; images the layers' styles, each times a number, and the last noise."""

    num_styles: int = 3
    latent_width: int = 4
    noise_shapes: tuple = ((2, 1), (4, 1))

    def apply(self, variables, *arguments, method):
        if method == "map_one":
            return 2 * arguments[0] + 1
        styles, noise = arguments
        return jnp.einsum("bsw,s->bw", styles, variables["params"])[..., None] + 0.1 * noise[-1]


@pytest.fixture(scope="module")
def sampler():
    return StyleSampler(Linear(), {"params": np.array([1, 2, 4], np.float32)}, batch_size=2)


def test_all_images_have_the_same_noise_whatever_the_batch(sampler):
    noise = sampler.noise(3)
    assert [one.shape for one in noise] == [(3, 2, 1), (3, 4, 1)]
    np.testing.assert_array_equal(noise[1][0], noise[1][2])
    styles = sampler.draw_styles(3)
    images = sampler.synthesise(styles)
    assert images.shape == (3, 4, 1)
    np.testing.assert_allclose(images[2:], sampler.synthesise(styles[2:]), rtol=1e-6)


def test_mean_style_and_its_deviation(sampler):
    mean, deviation = sampler.mean_style()
    np.testing.assert_allclose(mean, 1, atol=0.1)
    assert deviation == pytest.approx(2 * np.sqrt(4), rel=0.02)


def test_as_a_function_it_draws_the_same_images(sampler):
    function, variables = sampler.as_function()
    latents = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
    wanted = sampler.synthesise(repeat_styles(sampler.map(latents), 3))
    np.testing.assert_allclose(function(variables, latents), wanted, rtol=1e-6)
    assert list(variables["noise"]) == ["map_00", "map_01"]


def test_truncation_runs_from_the_mean_to_the_style(sampler):
    mean, _ = sampler.mean_style()
    np.testing.assert_allclose(
        sampler.draw_styles(2, psi=0.0), repeat_styles(jnp.stack([mean, mean]), 3), rtol=1e-6
    )
    half, full = sampler.draw_styles(2, psi=0.5), sampler.draw_styles(2)
    np.testing.assert_allclose(2 * half - full, repeat_styles(jnp.stack([mean, mean]), 3), atol=1e-5)
    assert (full != sampler.draw_styles(2, seed=1)).all()


def test_a_crossover_at_either_end_gives_a_parent(sampler):
    coarse, fine = sampler.draw_styles(2, seed=1), sampler.draw_styles(2, seed=2)
    np.testing.assert_array_equal(sampler.mix(coarse, fine, 0), sampler.synthesise(fine))
    np.testing.assert_array_equal(sampler.mix(coarse, fine, 3), sampler.synthesise(coarse))
    halves = sampler.mix(coarse, fine, 1) - sampler.mix(fine, fine, 1)
    np.testing.assert_allclose(halves[..., 0], coarse[:, 0] - fine[:, 0], atol=1e-5)


def test_an_image_is_projected_onto_its_style(sampler):
    styles = sampler.draw_styles(2)
    search = Search(num_steps=150, coarse_factor=2, with_noise=False)
    found = sampler.project(sampler.synthesise(styles), search)
    np.testing.assert_allclose(found.styles, styles[:, 0], atol=0.05)
