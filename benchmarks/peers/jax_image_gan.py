"""A step of a GAN of images, from jaxmed's parts: two updates of the discriminator, one of the generator."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers import jax_games
from benchmarks.peers.work import Probe, Run
from jaxmed.algorithms import gan_games
from jaxmed.algorithms.gan import Game, Move, Player, gan
from jaxmed.losses import adversarial
from jaxmed.models import gan_plans
from jaxmed.train import net

SMOOTHING, PENALTY_WEIGHT, NUM_STEPS = 0.1, 10.0, 2

Penalty = Callable[[Callable[[jax.Array], jax.Array], jax.Array, jax.Array, jax.Array], jax.Array]
"""From the discriminator, real and generated images and random numbers, as `Game.penalty` draws them."""


class ImageGanStep:
    """The step of paper `ganeval`."""

    def __init__(
        self,
        plan: gan_plans.Plan,
        game: Game,
        rates: tuple[float, float],
        betas: tuple[float, float],
        sizes: tuple[int, int],
        penalty: Penalty | None = None,
    ):
        """Makes the networks.

        Args:
            plan: their layers.
            game: their losses.
            rates: of Adam, for the generator and the discriminator.
            betas: of Adam.
            sizes: of a batch for each update, and of images in pixels.
            penalty: the game's with random numbers that are given.
        """
        self._num_latents, self._game, self._penalty = plan.num_latents, game, penalty
        self.items, self._size = sizes
        self.settings = ("jit, float32",)
        self._models: dict[str, Any] = {
            "generator": plan.make_generator(0),
            "discriminator": plan.make_discriminator(0),
        }
        players = (
            Player(model, optax.adam(rate, *betas))
            for model, rate in zip(self._models.values(), rates, strict=True)
        )
        self._algorithm = gan(*players, game, num_discriminator_steps=NUM_STEPS)

    def prepare(self, setting: str) -> Run:
        """The whole step, with new random numbers each time."""
        return jax_games.make_run(self._algorithm, {"image": self._draw_real(NUM_STEPS * self.items)})

    def _draw_real(self, count: int) -> np.ndarray:
        shape = (count, self._size, self._size, 1)
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    def parts(self, setting: str) -> Mapping[str, Run]:
        """Both losses with their gradients."""
        real, key = jnp.asarray(self._draw_real(self.items)), jax.random.key(0, impl="rbg")
        inputs = {
            "real": real,
            "latents": jax.random.normal(key, (self.items, self._num_latents)),
            "mixing": jax.random.uniform(key, (self.items,)),
        }
        # Discriminators see all updates' images.
        batch = {"image": jnp.concatenate([real] * NUM_STEPS)}
        state = jax.jit(self._algorithm.init)(key, batch)
        inputs["batch_stats"] = state.generator.batch_stats
        params = {"generator": state.generator.params, "discriminator": state.discriminator.params}
        inputs["fake"] = jax.jit(self._generate)(params, inputs)
        losses: jax_games.Losses = {
            "discriminator": ("discriminator", lambda p, given: self._judge_loss(p, given, given["fake"])),
            "generator": ("generator", self._generator_loss),
        }
        return jax_games.make_parts(losses, {}, params, inputs)

    def agreement(self, probe: Probe) -> Mapping[str, float]:
        """Losses and gradients with the peer's weights and random numbers."""
        inputs: dict[str, Any] = dict(jax_games.read_inputs(probe))
        examples = {"generator": inputs["latents"], "discriminator": inputs["real"]}
        variables = {
            name: jax_games.shapes_of(model, examples[name], train=False)
            for name, model in self._models.items()
        }
        shapes = {name: tree["params"] for name, tree in variables.items()}
        zeros = functools.partial(jax.tree.map, lambda leaf: jnp.zeros(leaf.shape, leaf.dtype))
        inputs["batch_stats"] = zeros(variables["generator"].get("batch_stats", {}))
        losses: jax_games.Losses = {
            "discriminator": (
                "discriminator",
                lambda p, given: self._judge_loss(p, given, self._generate(p, given)),
            ),
            "generator": ("generator", self._generator_loss),
        }
        return jax_games.compare(probe, shapes, losses, inputs)

    def _generate(self, params: jax_games.Params, inputs: Mapping) -> jax.Array:
        weights, statistics = params["generator"], inputs["batch_stats"]
        return net.apply_train(self._models["generator"], weights, statistics, inputs["latents"])[0]

    def _judge(self, params: jax_games.Params, images: jax.Array) -> jax.Array:
        return net.apply_train(self._models["discriminator"], params["discriminator"], {}, images)[0]

    def _judge_loss(self, params: jax_games.Params, inputs: Mapping, fake: jax.Array) -> jax.Array:
        judge, real = functools.partial(self._judge, params), inputs["real"]
        move = Move({"image": real}, (inputs["latents"],), fake)
        values = self._game.discriminator_loss(judge(real), judge(fake), move)
        if self._penalty is not None:
            values += self._penalty(judge, real, fake, inputs["mixing"])
        return values.mean()

    def _generator_loss(self, params: jax_games.Params, inputs: Mapping) -> jax.Array:
        fake = self._generate(params, inputs)
        move = Move({"image": inputs["real"]}, (inputs["latents"],), fake)
        return self._game.generator_loss(self._judge(params, fake), move).mean()

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"jax": jax.__version__}


def dcgan(batch: int, size: int, divisor: int, probe: int) -> ImageGanStep:
    """A step of DCGAN."""
    plan = gan_plans.DCGAN.reduce(size, divisor)
    game = gan_games.non_saturating(_real, plan.num_latents, smoothing=SMOOTHING)
    return ImageGanStep(plan, game, (1e-4, 1e-4), (0.5, 0.99), (batch, size))


def wgan_gp(batch: int, size: int, divisor: int, probe: int) -> ImageGanStep:
    """A step of WGAN-GP."""
    plan = gan_plans.WGAN_GP.reduce(size, divisor)
    game = gan_games.wasserstein(_real, plan.num_latents, penalty_weight=PENALTY_WEIGHT)
    return ImageGanStep(plan, game, (2e-4, 1e-4), (0.0, 0.9), (batch, size), _weighted_penalty)


def _real(batch: Mapping) -> jax.Array:
    return batch["image"]


def _weighted_penalty(
    critic: Callable[[jax.Array], jax.Array], real: jax.Array, fake: jax.Array, mixing: jax.Array
) -> jax.Array:
    return PENALTY_WEIGHT * adversarial.gradient_penalty(critic, real, fake, mixing)
