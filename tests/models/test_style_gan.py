"""Style-based generator and discriminator: published counts, sizes, and what noise and groups do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models.style_gan import StyleDiscriminator, StyleGenerator, append_deviation

# Configuration: width, latent width, doublings; parameters of the generator and of the discriminator.
COUNTS = {
    "2mm-fd16": ((16, 64, 4), 109_418, 117_633),
    "2mm-fd32": ((32, 128, 4), 429_258, 469_249),
    "2mm-fd64": ((64, 64, 4), 1_084_298, 1_874_433),
    "2mm-fd96": ((96, 96, 4), 2_428_234, 4_215_553),
    "1mm-fd16 of the text": ((16, 32, 5), 94_380, 131_745),
    "1mm-fd16 of Table 1": ((16, 64, 5), 125_356, 131_745),
}

TOTALS = {"2mm-fd16": 227_051, "2mm-fd32": 898_507, "2mm-fd64": 2_958_731, "2mm-fd96": 6_643_787}


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def inputs_of(generator, batch):
    noise = [jnp.zeros((batch, *shape)) for shape in generator.noise_shapes]
    return jnp.zeros((batch, 2, generator.latent_width)), jnp.zeros(batch, jnp.int32), noise


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_those_of_the_paper(name):
    (width, latent, doublings), of_generator, of_discriminator = COUNTS[name]
    generator = StyleGenerator(width=width, latent_width=latent, num_doublings=doublings)
    discriminator = StyleDiscriminator(width=width, num_doublings=doublings)
    images, params = jax.eval_shape(
        lambda: generator.init_with_output(jax.random.key(0), *inputs_of(generator, 1))
    )
    assert images.shape == (1, *(size << doublings for size in (5, 6, 7)), 1)
    assert count(params) == of_generator
    judged = jax.eval_shape(
        lambda: discriminator.init_with_output(jax.random.key(0), jnp.zeros(images.shape))
    )
    assert judged[0].shape == (1,)
    assert count(judged[1]) == of_discriminator
    if name in TOTALS:
        assert of_generator + of_discriminator == TOTALS[name]


TINY = StyleGenerator((2, 2), num_doublings=1, width=3, latent_width=4, num_mapping=2)


@pytest.fixture(scope="module")
def synthesise():
    """`(styles, noise) -> images` of a generator with random parameters, of noise strengths too."""
    shapes = jax.eval_shape(lambda: TINY.init(jax.random.key(0), *inputs_of(TINY, 1)))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)
    return jax.jit(lambda styles, noise: TINY.apply(variables, styles, noise, method="synthesise"))


def draw(seed, batch=2):
    rng = np.random.default_rng(seed)
    noise = [rng.normal(size=(batch, *shape)).astype(np.float32) for shape in TINY.noise_shapes]
    return rng.normal(size=(batch, TINY.num_styles, 4)).astype(np.float32), noise


def test_images_of_one_example_depend_on_its_own_inputs_alone(synthesise):
    (styles, noise), (others, other_noise) = draw(0), draw(1)
    mixed = np.concatenate([styles[:1], others[1:]])
    mixed_noise = [np.concatenate([a[:1], b[1:]]) for a, b in zip(noise, other_noise, strict=True)]
    found, wanted = (np.asarray(synthesise(*each)) for each in ((mixed, mixed_noise), (styles, noise)))
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5, atol=1e-6)
    assert np.abs(found[1] - wanted[1]).max() > 1e-2


def test_every_layer_has_a_style_and_all_but_the_last_have_noise(synthesise):
    styles, noise = draw(0)
    before = np.asarray(synthesise(styles, noise))
    assert before.shape == (2, 4, 4, 1)
    for layer in range(TINY.num_styles):
        moved = styles.copy()
        moved[:, layer] += 1
        assert np.abs(synthesise(moved, noise) - before).max() > 1e-3
    for layer, one in enumerate(noise):
        moved = [*noise[:layer], one + 1, *noise[layer + 1 :]]
        assert np.abs(synthesise(styles, moved) - before).max() > 1e-3


@pytest.mark.parametrize(("batch", "size"), [(4, 4), (6, 3), (5, 1), (2, 2)])
def test_deviation_is_that_of_neighbours_in_the_batch(batch, size):
    x = np.random.default_rng(0).normal(size=(batch, 2, 3, 2)).astype(np.float32)
    found = np.asarray(jax.jit(append_deviation, static_argnums=1)(x, 4))
    assert found.shape == (batch, 2, 3, 3)
    np.testing.assert_array_equal(found[..., :2], x)
    groups = x.reshape(-1, size, *x.shape[1:])
    wanted = np.repeat(np.sqrt(groups.var(axis=1) + 1e-8).mean(axis=(1, 2, 3)), size)
    np.testing.assert_allclose(found[:, 0, 0, 2], wanted, rtol=1e-4)
    np.testing.assert_array_equal(found[..., 2], np.broadcast_to(found[:, :1, :1, 2], (batch, 2, 3)))
