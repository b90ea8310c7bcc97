"""A step of a Wasserstein GAN of volumes with gradient penalty and path length, from jaxmed's parts."""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from benchmarks.peers import jax_games
from benchmarks.peers.work import Probe, Run
from jaxmed.losses import adversarial
from jaxmed.models import layers
from jaxmed.train import fit, net
from jaxmed.types import Leaf

SLOPE = 0.2
PENALTY_WEIGHT, PATH_WEIGHT = 10.0, 2.0


def _leaky(x: jax.Array) -> jax.Array:
    return jax.nn.leaky_relu(x, SLOPE)


class Generator(nn.Module):
    """Latent, two dense layers, then styled convolutions from 4^3 on, each after doubling the size."""

    latent: int
    widths: tuple[int, ...]

    def setup(self):
        """Makes the layers."""
        self.dense_0, self.dense_1 = nn.Dense(self.latent), nn.Dense(self.latent)
        self.start = self.param("start", nn.initializers.normal(1.0), (4**3, self.widths[0]))
        inputs = (self.widths[0], *self.widths)
        self.style = [nn.Dense(width) for width in inputs[:-1]]
        self.conv = [
            layers.UpsampleConv(width) if level else layers.Conv(width)
            for level, width in enumerate(self.widths)
        ]
        self.image = layers.Conv(1, kernel_size=1)

    def map(self, latent: jax.Array) -> jax.Array:
        """From the latent to the styles' common input."""
        return _leaky(self.dense_1(_leaky(self.dense_0(latent))))

    def synthesise(self, styles: jax.Array) -> jax.Array:
        """Volumes, (batch, size, size, size, 1)."""
        x = jnp.broadcast_to(self.start.reshape(4, 4, 4, -1), (len(styles), 4, 4, 4, self.widths[0]))
        for style, conv in zip(self.style, self.conv, strict=True):
            # What is the same for all voxels of a channel can be applied before they are repeated.
            gain = (1 + style(styles))[:, None, None, None]
            x = _leaky(conv(x * jnp.broadcast_to(gain, x.shape)))
        return self.image(x)

    def __call__(self, latent: jax.Array, train: bool = True) -> jax.Array:
        """Volumes from latents."""
        return self.synthesise(self.map(latent))


class Critic(nn.Module):
    """Convolutions, each followed by averaging over 2^3, down to 4^3; then a dense layer."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        """Scores, (batch, 1)."""
        upwards = self.widths[::-1]
        x = _leaky(layers.Conv(upwards[0], kernel_size=1, name="volume")(x))
        for level, width in enumerate(upwards):
            x = _leaky(layers.Conv(width, name=f"conv_{level}")(x))
            if level < len(upwards) - 1:
                batch, depth, height, across, channels = x.shape
                x = x.reshape(batch, depth // 2, 2, height // 2, 2, across // 2, 2, channels).mean((2, 4, 6))
        return nn.Dense(1, name="score")(x.reshape(len(x), -1))


@struct.dataclass
class GanState:
    """Attributes: step; both networks; mean_length, the moving mean of path lengths."""

    step: Leaf
    critic: net.NetState
    generator: net.NetState
    mean_length: Leaf


class GanStep:
    """A step of the critic, then one of the generator, both with Adam."""

    def __init__(self, batch: int, size: int, latent: int, widths: tuple[int, ...], probe: tuple[int, ...]):
        self._generator, self._critic = Generator(latent, widths), Critic(widths)
        self._optimizer = optax.adam(1e-4, b1=0.0, b2=0.99)
        self.items, self.settings = batch, ("jit, float32",)
        self._size, self._latent = size, latent

    def _judge(self, params: Any, volumes: jax.Array) -> jax.Array:
        return self._critic.apply({"params": params}, volumes)

    def _generate(self, params: Any, latent: jax.Array) -> jax.Array:
        return self._generator.apply({"params": params}, latent)

    def _distance(self, critic: Any, real: jax.Array, fake: jax.Array) -> jax.Array:
        return adversarial.wasserstein_critic(self._judge(critic, real), self._judge(critic, fake)).mean()

    def _penalty(self, critic: Any, real: jax.Array, fake: jax.Array, mixing: jax.Array) -> jax.Array:
        judge = functools.partial(self._judge, critic)
        return adversarial.gradient_penalty(judge, real, fake, mixing).mean()

    def _path(self, params: Any, inputs: Mapping, mean: jax.Array) -> tuple[jax.Array, jax.Array]:
        def synthesise(styles):
            return self._generator.apply({"params": params}, styles, method="synthesise")

        styles = self._generator.apply({"params": params}, inputs["generator_latent"], method="map")
        lengths = adversarial.path_lengths(synthesise, styles, inputs["noise"])
        penalties, mean = adversarial.path_length_penalty(lengths, mean)
        return penalties.mean(), mean

    def _score(self, generator: Any, critic: Any, inputs: Mapping) -> jax.Array:
        volumes = self._generate(generator, inputs["generator_latent"])
        return adversarial.wasserstein_generator(self._judge(critic, volumes)).mean()

    def _critic_loss(self, params: Any, batch_stats: Any, generator: Any, inputs: Mapping) -> Any:
        real, fake = inputs["real"], self._generate(generator, inputs["critic_latent"])
        penalty = self._penalty(params, real, fake, inputs["mixing"])
        return self._distance(params, real, fake) + PENALTY_WEIGHT * penalty, (batch_stats, {})

    def _generator_loss(self, params: Any, batch_stats: Any, critic: Any, inputs: Mapping, mean: Any) -> Any:
        penalty, mean = self._path(params, inputs, mean)
        return self._score(params, critic, inputs) + PATH_WEIGHT * penalty, (batch_stats, mean)

    def _init(self, key: jax.Array, batch: Mapping) -> GanState:
        latent = jnp.zeros((self.items, self._latent))
        return GanState(
            step=jnp.zeros((), jnp.int32),
            critic=net.init_net(self._critic, self._optimizer, key, batch["image"]),
            generator=net.init_net(self._generator, self._optimizer, key, latent),
            mean_length=jnp.zeros((), jnp.float32),
        )

    def _step(self, state: GanState, batch: Mapping, key: jax.Array) -> tuple[GanState, dict]:
        inputs = {"real": batch["image"], **self._draw(key, batch["image"].shape)}
        critic, critic_loss, _ = net.update_net(
            state.critic, self._optimizer, self._critic_loss, state.generator.params, inputs
        )
        generator, generator_loss, mean_length = net.update_net(
            state.generator, self._optimizer, self._generator_loss, critic.params, inputs, state.mean_length
        )
        new = GanState(state.step + 1, critic, generator, mean_length)
        return new, {"critic_loss": critic_loss, "generator_loss": generator_loss}

    def _draw(self, key: jax.Array, volume: tuple[int, ...]) -> dict[str, jax.Array]:
        critic, generator, mixing, noise = jax.random.split(key, 4)
        shape = (self.items, self._latent)
        return {
            "critic_latent": jax.random.normal(critic, shape),
            "generator_latent": jax.random.normal(generator, shape),
            "mixing": adversarial.draw_mixing(mixing, self.items),
            "noise": jax.random.normal(noise, volume),
        }

    def prepare(self, setting: str) -> Run:
        """The whole step, with new random numbers each time."""
        return jax_games.make_run(fit.Algorithm(self._init, self._step), {"image": self._draw_real()})

    def _draw_real(self) -> np.ndarray:
        return np.random.default_rng(0).standard_normal((self.items, *(self._size,) * 3, 1), np.float32)

    def parts(self, setting: str) -> Mapping[str, Run]:
        """The critic's scores, and each term of both losses with its gradients."""
        real, key = jnp.asarray(self._draw_real()), jax.random.key(0, impl="rbg")
        state = jax.jit(self._init)(key, {"image": real})
        inputs = {"real": real, **jax.jit(lambda: self._draw(key, real.shape))()}
        params = {"generator": state.generator.params, "critic": state.critic.params}
        inputs["fake"] = jax.jit(self._generate)(params["generator"], inputs["critic_latent"])
        losses: jax_games.Losses = {
            "critic without penalty": (
                "critic",
                lambda p, given: self._distance(p["critic"], given["real"], given["fake"]),
            ),
            "gradient penalty": (
                "critic",
                lambda p, given: self._penalty(p["critic"], given["real"], given["fake"], given["mixing"]),
            ),
            "generator without path length": (
                "generator",
                lambda p, given: self._score(p["generator"], p["critic"], given),
            ),
            "path length": (
                "generator",
                lambda p, given: self._path(p["generator"], given, jnp.zeros(()))[0],
            ),
        }
        forward = {"critic forward": lambda p, given: self._judge(p["critic"], given["real"])}
        return jax_games.make_parts(losses, forward, params, inputs)

    def agreement(self, probe: Probe) -> Mapping[str, float]:
        """Losses and gradients with the peer's weights and random numbers."""
        inputs = jax_games.read_inputs(probe)
        shapes = {
            "critic": jax_games.shapes_of(self._critic, inputs["real"])["params"],
            "generator": jax_games.shapes_of(self._generator, inputs["generator_latent"])["params"],
        }
        losses: jax_games.Losses = {
            "critic": (
                "critic",
                lambda p, given: self._critic_loss(p["critic"], {}, p["generator"], given)[0],
            ),
            "generator": (
                "generator",
                lambda p, given: self._generator_loss(p["generator"], {}, p["critic"], given, jnp.zeros(()))[
                    0
                ],
            ),
        }
        return jax_games.compare(probe, shapes, losses, inputs)

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"jax": jax.__version__}
