"""The game of StyleGAN2: what is drawn, path lengths of a linear generator, Adam beside a lazy penalty."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms import style_gan
from jaxmed.algorithms.style_gan import Inputs, Settings
from jaxmed.ops.styles import repeat_styles


class Linear(NamedTuple):
    """A generator whose image is the sum of its layers' styles, each times a number."""

    num_styles: int = 3
    latent_width: int = 4
    noise_shapes: tuple = ((2, 1), (4, 1))

    def apply(self, variables, *arguments, method):
        if method == "map":
            latents, _ = arguments
            return repeat_styles(latents[:, 0], self.num_styles)
        styles, _ = arguments
        return jnp.einsum("bsw,s->bw", styles, variables["params"])[..., None]


draw = jax.jit(style_gan.draw_inputs, static_argnums=(0, 2, 3))
path_penalty = jax.jit(style_gan.path_penalty, static_argnums=0)
draw_direction = jax.jit(style_gan.draw_direction)


def test_inputs_of_an_example_do_not_depend_on_the_batch():
    key, generator = jax.random.key(0), Linear()
    two, five = (draw(generator, key, count, 0.9) for count in (2, 5))
    for first, other in zip(jax.tree.leaves(two), jax.tree.leaves(five), strict=True):
        np.testing.assert_array_equal(first, np.asarray(other)[:2])
    assert [one.shape for one in five.noise] == [(5, 2, 1), (5, 4, 1)]


def test_styles_are_mixed_as_often_as_asked_from_any_layer_but_the_first():
    drawn = draw(Linear(), jax.random.key(0), 4000, 0.5).crossover
    counts = np.bincount(drawn, minlength=4) / 4000
    np.testing.assert_allclose(counts, [0, 0.25, 0.25, 0.5], atol=0.03)
    assert (np.asarray(draw(Linear(), jax.random.key(0), 100).crossover) == 3).all()


def test_path_lengths_of_a_linear_generator():
    """J^T y of layer s is params[s] y, so that the length is |y| sqrt(mean params^2) / sqrt(4 pixels)."""
    generator, params = Linear(), np.array([1, -2, 3], np.float32)
    inputs = draw(generator, jax.random.key(0), 3000)
    direction = draw_direction(jax.random.key(1), inputs.noise[-1])
    penalties, mean = path_penalty(generator, params, np.zeros((), np.float32), inputs, direction)
    chi = np.sqrt(2) * 1.3293403881791370 / 1.0  # mean norm of four standard normal numbers
    assert mean == pytest.approx(0.01 * chi * np.sqrt(14 / 3) / 2, rel=0.02)
    assert penalties.shape == (3000,)


def test_the_penalty_weighs_as_often_as_it_is_left_out():
    generator = Linear()
    settings = Settings(path_weight=2.0, regularise_every=16, path_batch_shrink=2)
    game = style_gan.style_game(generator, settings, lambda batch: batch["image"])
    inputs = jax.jit(game.draw)(jax.random.key(0), {"image": np.zeros((4, 4, 1), np.float32)})
    assert isinstance(inputs, Inputs)
    params, key, mean_length = np.ones(3, np.float32), jax.random.key(1), np.zeros((), np.float32)
    values, mean = jax.jit(game.regulariser.loss)(params, {}, mean_length, inputs, key)
    few = Inputs(*jax.jit(lambda arrays: jax.tree.map(lambda array: array[::2], arrays))(tuple(inputs)))
    direction = draw_direction(key, few.noise[-1])
    penalties, wanted = path_penalty(generator, params, mean_length, few, direction)
    np.testing.assert_allclose(values, 32 * np.asarray(penalties), rtol=1e-6)
    assert mean == wanted and game.regulariser.every == 16


def test_lazy_adam_moves_as_far_in_an_interval():
    optimizer, plain = style_gan.lazy_adam(0.1, 16), style_gan.lazy_adam(0.1, 0)
    moved = {}
    for name, adam, count in (("lazy", optimizer, 17), ("plain", plain, 16)):

        @jax.jit
        def train(adam=adam, count=count):
            def update(_, carry):
                params, state = carry
                updates, state = adam.update(jnp.ones(()), state, params)
                return optax.apply_updates(params, updates), state

            return jax.lax.fori_loop(0, count, update, (jnp.zeros(()), adam.init(jnp.zeros(()))))[0]

        moved[name] = float(train())
    assert moved["lazy"] == pytest.approx(moved["plain"], rel=1e-5)
