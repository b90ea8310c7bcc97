"""A step of a Wasserstein GAN of volumes with gradient penalty and path length, from jaxmed's parts."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from benchmarks.peers import parity
from benchmarks.peers.work import Probe, Run
from jaxmed.losses import adversarial
from jaxmed.models import layers
from jaxmed.train import fit, net
from jaxmed.train import mesh as meshes
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
        self._mesh = meshes.make_mesh(devices=jax.local_devices()[:1])

    def _critic_loss(self, params: Any, batch_stats: Any, generator: Any, inputs: Mapping) -> Any:
        def critic(x):
            return self._critic.apply({"params": params}, x)

        real = inputs["real"]
        fake = self._generator.apply({"params": generator}, inputs["critic_latent"])
        penalty = adversarial.gradient_penalty(critic, real, fake, inputs["mixing"])
        distance = adversarial.wasserstein_critic(critic(real), critic(fake))
        return (distance + PENALTY_WEIGHT * penalty).mean(), (batch_stats, {})

    def _generator_loss(self, params: Any, batch_stats: Any, critic: Any, inputs: Mapping, mean: Any) -> Any:
        def synthesise(styles):
            return self._generator.apply({"params": params}, styles, method="synthesise")

        styles = self._generator.apply({"params": params}, inputs["generator_latent"], method="map")
        lengths = adversarial.path_lengths(synthesise, styles, inputs["noise"])
        penalty, mean = adversarial.path_length_penalty(lengths, mean)
        scores = self._critic.apply({"params": critic}, synthesise(styles))
        loss = adversarial.wasserstein_generator(scores) + PATH_WEIGHT * penalty
        return loss.mean(), (batch_stats, mean)

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
        real = np.random.default_rng(0).standard_normal((self.items, *(self._size,) * 3, 1), np.float32)
        batch = meshes.put_batch({"image": real}, self._mesh)
        key = meshes.replicate(jax.random.key(0, impl="rbg"), self._mesh)
        state = jax.jit(self._init, out_shardings=meshes.replicated(self._mesh))(key, batch)
        step = fit.compile_step(fit.Algorithm(self._init, self._step), self._mesh)
        fold = jax.jit(jax.random.fold_in)

        def run() -> None:
            nonlocal state
            state, metrics = step(state, batch, fold(key, state.step))
            jax.block_until_ready((state, metrics))

        return run

    def parts(self, setting: str) -> Mapping[str, Run]:
        """None."""
        return {}

    def agreement(self, probe: Probe) -> Mapping[str, float]:
        """Losses and gradients with the peer's weights and random numbers."""
        inputs = {name[6:]: jnp.asarray(a) for name, a in probe.items() if name.startswith("input:")}
        networks = {
            "critic": (self._critic, inputs["real"]),
            "generator": (self._generator, inputs["generator_latent"]),
        }
        params, wanted = {}, {}
        for name, (network, example) in networks.items():
            shapes = jax.eval_shape(lambda n=network, x=example: n.init(jax.random.key(0), x))["params"]
            for found, prefix in ((params, parity.WEIGHT), (wanted, parity.GRADIENT)):
                found[name] = parity.to_flax(shapes, probe, prefix=f"{prefix}{name}.")
        with jax.default_matmul_precision("highest"):
            (critic, _), critic_gradient = jax.jit(jax.value_and_grad(self._critic_loss, has_aux=True))(
                params["critic"], {}, params["generator"], inputs
            )
            value_and_grad = jax.jit(jax.value_and_grad(self._generator_loss, has_aux=True))
            (generator, _), generator_gradient = value_and_grad(
                params["generator"], {}, params["critic"], inputs, jnp.zeros(())
            )
        count = sum(leaf.size for leaf in jax.tree.leaves(params))
        losses = {"critic": critic, "generator": generator}
        gradients = {"critic": critic_gradient, "generator": generator_gradient}
        return {
            "parameters": float(abs(count - parity.num_parameters(probe))),
            "loss": max(
                parity.relative_error(np.asarray(v), probe[f"loss:{name}"]) for name, v in losses.items()
            ),
            "gradients": parity.worst_leaf(gradients, wanted),
        }

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"jax": jax.__version__}
