"""A step of 3D-StyleGAN, from jaxmed's parts, with path-length regularisation or without."""

import itertools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import jax_games
from benchmarks.peers.work import Probe, Run
from jaxmed.algorithms import style_gan
from jaxmed.algorithms.gan import Move, Player, gan
from jaxmed.models.style_gan import StyleDiscriminator, StyleGenerator
from jaxmed.train import averages

TAPS = (1.0, 3.0, 3.0, 3.0, 1.0)
RATE, HALF_LIFE = 0.002, 10_000.0


class StyleGanStep:
    """The step of paper `stylegan3d`."""

    def __init__(
        self,
        batch: int,
        base: tuple[int, ...],
        num_doublings: int,
        width: int,
        latent: int,
        path: bool,
        probe: int,
    ):
        self._generator = StyleGenerator(base, num_doublings, width, latent, taps=TAPS)
        self._judge = StyleDiscriminator(num_doublings, width, TAPS)
        self._settings = style_gan.Settings()
        self._game = style_gan.style_game(self._generator, self._settings, lambda given: given["volume"])
        self._path, self.items, self.settings = path, batch, ("jit, float32",)
        self._size = tuple(size << num_doublings for size in base)

    def prepare(self, setting: str) -> Run:
        """The whole step, with new random numbers each time."""
        every = self._settings.regularise_every
        algorithm = gan(
            Player(self._generator, style_gan.lazy_adam(RATE, every)),
            Player(self._judge, style_gan.lazy_adam(RATE, 0)),
            self._game,
            average_decay=averages.half_life_decay(HALF_LIFE, self.items),
        )
        # One program has both kinds of steps: the penalty is due where their number divides.
        steps = itertools.count(0 if self._path else 1, every)
        return jax_games.make_run(algorithm, {"volume": self._draw_real()}, steps)

    def _draw_real(self) -> np.ndarray:
        return np.random.default_rng(0).standard_normal((self.items, *self._size, 1), np.float32)

    def parts(self, setting: str) -> Mapping[str, Run]:
        """Both networks alone, and their losses with gradients; of the other line, the path length."""
        keys, real = jax.random.split(jax.random.key(0, impl="rbg"), 3), jnp.asarray(self._draw_real())
        inputs = jax.jit(self._game.draw)(keys[0], {"volume": real})
        params = {
            "generator": jax.jit(self._generator.init)(keys[1], *inputs)["params"],
            "discriminator": jax.jit(self._judge.init)(keys[2], real)["params"],
        }
        given = {"real": real, "fake": jax.jit(self._make)(params, inputs), "drawn": inputs}
        given["direction"] = jax.random.normal(keys[0], real.shape)
        if self._path:
            path = {"path length": ("generator", self._path_loss)}
            return jax_games.make_parts(path, {}, params, given)
        losses: jax_games.Losses = {
            "discriminator's loss": ("discriminator", self._discriminator_loss),
            "generator's loss": ("generator", self._generator_loss),
        }
        forward = {
            "generator": lambda p, given: self._make(p, given["drawn"]),
            "discriminator": lambda p, given: self._ask(p, given["real"]),
        }
        return jax_games.make_parts(losses, forward, params, given)

    def agreement(self, probe: Probe) -> Mapping[str, float]:
        """The three losses and their gradients with the peer's weights and random numbers."""
        found = jax_games.read_inputs(probe)
        noise = tuple(found[f"noise_{number}"] for number in range(len(self._generator.noise_shapes)))
        inputs = style_gan.Inputs(found["latents"], found["crossover"], noise)
        given = {"real": found["real"], "direction": found["direction"], "drawn": inputs}
        shapes = {
            "generator": jax_games.shapes_of(self._generator, *inputs)["params"],
            "discriminator": jax_games.shapes_of(self._judge, given["real"])["params"],
        }

        def discriminator_loss(params: jax_games.Params, given: Mapping) -> jax.Array:
            return self._discriminator_loss(params, {**given, "fake": self._make(params, given["drawn"])})

        losses: jax_games.Losses = {
            "discriminator": ("discriminator", discriminator_loss),
            "generator": ("generator", self._generator_loss),
            "path": ("generator", self._path_loss),
        }
        return jax_games.compare(probe, shapes, losses, given)

    def _make(self, params: jax_games.Params, inputs: style_gan.Inputs) -> Any:
        return self._generator.apply({"params": params["generator"]}, *inputs)

    def _ask(self, params: jax_games.Params, images: Any) -> Any:
        return self._judge.apply({"params": params["discriminator"]}, images)

    def _discriminator_loss(self, params: jax_games.Params, given: Mapping) -> jax.Array:
        real, fake = given["real"], given["fake"]
        move = Move({"volume": real}, given["drawn"], fake)
        return self._game.discriminator_loss(self._ask(params, real), self._ask(params, fake), move).mean()

    def _generator_loss(self, params: jax_games.Params, given: Mapping) -> jax.Array:
        fake = self._make(params, given["drawn"])
        move = Move({"volume": given["real"]}, given["drawn"], fake)
        return self._game.generator_loss(self._ask(params, fake), move).mean()

    def _path_loss(self, params: jax_games.Params, given: Mapping) -> jax.Array:
        settings, shrink = self._settings, self._settings.path_batch_shrink
        few = jax.tree.map(lambda array: array[::shrink], (given["drawn"], given["direction"]))
        penalties, _ = style_gan.path_penalty(
            self._generator, params["generator"], jnp.zeros(()), few[0], few[1]
        )
        return settings.path_weight * settings.regularise_every * penalties.mean()

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"jax": jax.__version__}
