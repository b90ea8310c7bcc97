"""A step of DCGAN on images, from jaxmed's parts: two updates of the discriminator, one of the generator."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers import parity
from benchmarks.peers.work import Probe, Run
from jaxmed.algorithms import gan_games
from jaxmed.algorithms.gan import Move, Player, gan
from jaxmed.models import gan_plans
from jaxmed.train import fit
from jaxmed.train import mesh as meshes

SMOOTHING, NUM_STEPS = 0.1, 2


class DcganStep:
    """The step of paper `ganeval`."""

    def __init__(self, batch: int, size: int, divisor: int, probe: int):
        plan = gan_plans.DCGAN.reduce(size, divisor)
        self._models: Any = (plan.make_generator(0), plan.make_discriminator(0))
        self._game = gan_games.non_saturating(
            lambda batch: batch["image"], plan.num_latents, smoothing=SMOOTHING
        )
        generator, discriminator = (
            Player(model, optax.adam(1e-4, b1=0.5, b2=0.99)) for model in self._models
        )
        self._algorithm = gan(generator, discriminator, self._game, num_discriminator_steps=NUM_STEPS)
        self.items, self.settings, self._size = batch, ("jit, float32",), size
        self._mesh = meshes.make_mesh(devices=jax.local_devices()[:1])

    def prepare(self, setting: str) -> Run:
        """The whole step, with new latents each time."""
        shape = (NUM_STEPS * self.items, self._size, self._size, 1)
        real = np.random.default_rng(0).standard_normal(shape, np.float32)
        batch = meshes.put_batch({"image": real}, self._mesh)
        key = meshes.replicate(jax.random.key(0, impl="rbg"), self._mesh)
        state = jax.jit(self._algorithm.init, out_shardings=meshes.replicated(self._mesh))(key, batch)
        step = fit.compile_step(self._algorithm, self._mesh)
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
        """Losses and gradients with the peer's weights and latents."""
        z, real = jnp.asarray(probe["input:latent"]), jnp.asarray(probe["input:real"])
        examples = (("generator", self._models[0], z), ("discriminator", self._models[1], real))
        params, wanted = {}, {}
        for name, model, example in examples:
            shapes = jax.eval_shape(lambda m=model, x=example: m.init(jax.random.key(0), x, train=False))
            for found, prefix in ((params, parity.WEIGHT), (wanted, parity.GRADIENT)):
                found[name] = parity.to_flax(shapes["params"], probe, prefix=f"{prefix}{name}.")

        def generate(weights: Any) -> jax.Array:
            return self._models[0].apply({"params": weights}, z, train=True)

        def judge(weights: Any, images: jax.Array) -> jax.Array:
            return self._models[1].apply({"params": weights}, images, train=True)

        def losses(name: str, weights: Any) -> jax.Array:
            both = {**params, name: weights}
            fake = generate(both["generator"])
            move = Move({"image": real}, (z,), fake)
            of_fake = judge(both["discriminator"], fake)
            if name == "generator":
                return self._game.generator_loss(of_fake, move).mean()
            of_real = judge(both["discriminator"], real)
            return self._game.discriminator_loss(of_real, of_fake, move).mean()

        errors, gradients = [], {}
        with jax.default_matmul_precision("highest"):
            for name in params:
                value_and_grad = jax.jit(jax.value_and_grad(lambda weights, n=name: losses(n, weights)))
                value, gradients[name] = value_and_grad(params[name])
                errors.append(parity.relative_error(np.asarray(value), probe[f"loss:{name}"]))
        count = sum(leaf.size for leaf in jax.tree.leaves(params))
        return {
            "parameters": float(abs(count - parity.num_parameters(probe))),
            "loss": max(errors),
            "gradients": parity.worst_leaf(gradients, wanted),
        }

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"jax": jax.__version__}
