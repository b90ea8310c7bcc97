"""Adversarial training: a discriminator and a generator that are updated in turn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Key

from jaxmed.ops import collectives
from jaxmed.ops.example_keys import example_keys
from jaxmed.train import averages, net
from jaxmed.train.fit import Algorithm
from jaxmed.train.mesh import Volumes
from jaxmed.types import Batch, Leaf, PyTree


class Move(NamedTuple):
    """What the losses of one update may look at.

    Attributes:
        batch: the real examples of this update and what belongs to them.
        inputs: what the generator was called with.
        fake: what it made of them, (batch, ...).
    """

    batch: Batch
    inputs: tuple[PyTree, ...]
    fake: Array


class Regulariser(NamedTuple):
    """A penalty on the generator in updates of its own, with numbers that it remembers.

    Attributes:
        loss: `(params, batch_stats, memory, inputs, key) -> ((examples,), memory)`, the values weighted: one
            that is called in every k-th step only counts k times as much in the original's lazy form.
        memory: the arrays to start from, such as a moving mean; at least one.
        every: steps from one call to the next, the first of which is in the first step.
    """

    loss: Callable[[PyTree, PyTree, PyTree, tuple, jax.Array], tuple[jax.Array, PyTree]]
    memory: PyTree
    every: int = 1


@dataclass(frozen=True)
class Game:
    """What distinguishes one kind of adversarial network from another.

    Attributes:
        draw: `(key, batch) -> inputs`, a tuple of what the generator is called with: latents, and perhaps
            classes or random keys. Drawn per example (`draw_latents`), so that devices agree.
        real: `batch -> (batch, ...)`, the real examples as the discriminator sees them.
        discriminator_loss: `(real_outputs, fake_outputs, move) -> (batch,)`; outputs are whatever the
            discriminator returns.
        generator_loss: `(fake_outputs, move) -> (batch,)`.
        penalty: `(discriminator, real, fake, key) -> (batch,)`, weighted, is added to the discriminator's
            loss; its first argument maps images to outputs. None adds nothing.
        regulariser: of the generator, or None.
    """

    draw: Callable[[jax.Array, Batch], tuple[PyTree, ...]]
    real: Callable[[Batch], Array]
    discriminator_loss: Callable[[Any, Any, Move], Array]
    generator_loss: Callable[[Any, Move], Array]
    penalty: Callable[[Callable[[Array], Any], Array, Array, jax.Array], Array] | None = None
    regulariser: Regulariser | None = None


@struct.dataclass
class GanState:
    """State of both networks.

    Attributes:
        step: updates of the generator so far.
        generator: the network that makes images.
        discriminator: the network, or critic, that judges them.
        average: moving average of the generator's parameters; empty where none is kept.
        memory: of the regulariser; empty without one.
    """

    step: Leaf
    generator: net.NetState
    discriminator: net.NetState
    average: PyTree
    memory: PyTree

    @property
    def sampler(self) -> dict[str, PyTree]:
        """Variables to generate with: of the moving average where one is kept."""
        return {"params": self.average or self.generator.params, "batch_stats": self.generator.batch_stats}


class Player(NamedTuple):
    """A network and its optimizer.

    Attributes:
        model: called with `train=True` alone; the generator on `Game.draw`'s inputs.
        optimizer: of its parameters.
    """

    model: nn.Module
    optimizer: optax.GradientTransformation


def gan(
    generator: Player,
    discriminator: Player,
    game: Game,
    *,
    num_discriminator_steps: int = 1,
    average_decay: float | None = None,
    volumes: tuple[str, ...] = (),
) -> Algorithm:
    """Makes the algorithm that updates the discriminator, once or several times, and then the generator.

    Every update of the discriminator has latents and real examples of its own: with k updates in a step,
    update i takes the examples i, i + k, i + 2k ... of the batch, whose size is a multiple of k. Generated
    images are constants to the discriminator; the generator's update goes through the discriminator's
    parameters after its last update and leaves them and its running statistics as they are. The generator's
    update sees the examples of the last update of the discriminator, and new latents.

    Args:
        generator: makes images.
        discriminator: judges them; called on real and on generated images apart.
        game: losses and inputs.
        num_discriminator_steps: updates of the discriminator for one of the generator.
        average_decay: what of the moving average of the generator's parameters stays in a step; None keeps
            no average.
        volumes: names of the arrays of the batch that have a depth, along axis 1; a mesh may split it.

    Returns:
        An algorithm whose states are `GanState`s. Its metrics are `loss`, the discriminator's with its
        penalty, averaged over its updates, and `generator_loss`.

    Raises:
        ValueError: fewer than one update of the discriminator, or, when it is traced, a batch that these do
            not divide.

    Reference: Goodfellow et al., Generative Adversarial Nets, algorithm 1.
    """
    if num_discriminator_steps < 1:
        raise ValueError(f"num_discriminator_steps is {num_discriminator_steps}; wanted 1 or more")
    players = _Players(generator, discriminator, game)

    def init(key, batch):
        key_draw, key_generator, key_discriminator = jax.random.split(key, 3)
        part = _parts(batch, num_discriminator_steps)[0]
        inputs = game.draw(key_draw, part)
        state = net.init_net(generator.model, generator.optimizer, key_generator, *inputs)
        real = game.real(part)
        keeps_average = average_decay is not None
        return GanState(
            step=jnp.zeros((), jnp.int32),
            generator=state,
            discriminator=net.init_net(discriminator.model, discriminator.optimizer, key_discriminator, real),
            average=jax.tree.map(jnp.copy, state.params) if keeps_average else {},
            memory=jax.tree.map(jnp.copy, game.regulariser.memory) if game.regulariser else {},
        )

    def step(state, batch, key):
        parts = _parts(batch, num_discriminator_steps)
        judge, losses = state.discriminator, []
        for number, part in enumerate(parts):
            judge, loss = players.move_discriminator(
                judge, state.generator, part, jax.random.fold_in(key, number)
            )
            losses.append(loss)
        key_last = jax.random.fold_in(key, num_discriminator_steps)
        maker, memory, loss = players.move_generator(state, judge, parts[-1], key_last)
        average = state.average
        if average_decay is not None:
            average = averages.update_average(average, maker.params, average_decay)
        metrics = {"loss": jnp.stack(losses).mean(), "generator_loss": loss}
        return GanState(state.step + 1, maker, judge, average, memory), metrics

    return Algorithm(init, step, volumes=Volumes(volumes))


def draw_latents(key: Key[Array, ""], batch_size: int, num_latents: int) -> Float[Array, "batch latents"]:
    """Standard normal latents, (batch_size, num_latents), the same on any number of devices."""
    return jax.vmap(lambda own: jax.random.normal(own, (num_latents,)))(example_keys(key, batch_size))


class _Players(NamedTuple):
    """The updates of both networks."""

    generator: Player
    discriminator: Player
    game: Game

    def move_discriminator(
        self, judge: net.NetState, maker: net.NetState, batch: Batch, key: jax.Array
    ) -> tuple[net.NetState, jax.Array]:
        key_draw, key_penalty = jax.random.split(key)
        inputs = self.game.draw(key_draw, batch)
        fake, _ = net.apply_train(self.generator.model, maker.params, maker.batch_stats, *inputs)
        fake = jax.lax.stop_gradient(fake)
        judge, loss, _ = net.update_net(
            judge,
            self.discriminator.optimizer,
            self._discriminator_loss,
            Move(batch, inputs, fake),
            key_penalty,
        )
        return judge, loss

    def _discriminator_loss(self, params: PyTree, batch_stats: PyTree, move: Move, key: jax.Array) -> Any:
        model, real = self.discriminator.model, self.game.real(move.batch)
        of_real, after_real = net.apply_train(model, params, batch_stats, real)
        of_fake, after_fake = net.apply_train(model, params, after_real, move.fake)
        values = self.game.discriminator_loss(of_real, of_fake, move)
        if self.game.penalty is not None:

            def judge(images):
                return net.apply_train(model, params, batch_stats, images)[0]

            values = values + self.game.penalty(judge, real, move.fake, key)
        return values.mean(), (after_fake, {})

    def move_generator(
        self, state: GanState, judge: net.NetState, batch: Batch, key: jax.Array
    ) -> tuple[net.NetState, PyTree, jax.Array]:
        key_draw, key_regulariser = jax.random.split(key)
        inputs, optimizer = self.game.draw(key_draw, batch), self.generator.optimizer
        maker, loss, _ = net.update_net(
            state.generator, optimizer, self._generator_loss, judge, batch, inputs
        )
        regulariser = self.game.regulariser
        if regulariser is None:
            return maker, state.memory, loss

        def penalised(params, batch_stats):
            values, memory = regulariser.loss(params, batch_stats, state.memory, inputs, key_regulariser)
            return values.mean(), (batch_stats, memory)

        def regularise(maker):
            maker, _, memory = net.update_net(maker, optimizer, penalised)
            return maker, collectives.mean_over_devices(memory)

        if regulariser.every == 1:  # no branch, in which XLA for CPUs convolves slowly
            return *regularise(maker), loss
        is_due = state.step % regulariser.every == 0
        maker, memory = jax.lax.cond(is_due, regularise, lambda maker: (maker, state.memory), maker)
        return maker, memory, loss

    def _generator_loss(
        self, params: PyTree, batch_stats: PyTree, judge: net.NetState, batch: Batch, inputs: tuple
    ) -> Any:
        fake, batch_stats = net.apply_train(self.generator.model, params, batch_stats, *inputs)
        outputs, _ = net.apply_train(self.discriminator.model, judge.params, judge.batch_stats, fake)
        return self.game.generator_loss(outputs, Move(batch, inputs, fake)).mean(), (batch_stats, {})


def _parts(batch: Batch, count: int) -> list[Batch]:
    """Deals the examples out in turn, which keeps them on their devices."""
    sizes = {len(array) for array in batch.values()}
    if any(size % count for size in sizes):
        raise ValueError(
            f"batch of {sizes} examples; wanted a multiple of {count}, the discriminator's updates"
        )
    dealt = {name: x.reshape(len(x) // count, count, *x.shape[1:]) for name, x in batch.items()}
    return [{name: x[:, number] for name, x in dealt.items()} for number in range(count)]
