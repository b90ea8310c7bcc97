"""A step of a GAN of images in PyTorch: two updates of the discriminator, one of the generator."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.peers import parity, torch_games, torch_steps
from benchmarks.peers.work import Probe, Run

NUM_STEPS, BASE = 2, 5


class Game(NamedTuple):
    """What distinguishes one kind of GAN from another.

    Attributes:
        num_latents: of the generator.
        discriminator_loss: `(discriminator, fast, real, fake, mixing) -> mean`; `fast`, which may be
            compiled, is differentiated once.
        generator_loss: `(outputs) -> mean`.
        rates: of Adam, for the generator and the discriminator.
        betas: of Adam.
        compiled: what the compiled settings are called.
    """

    num_latents: int
    discriminator_loss: Callable[[Any, Any, Tensor, Tensor, Tensor], Tensor]
    generator_loss: Callable[[Tensor], Tensor]
    rates: tuple[float, float]
    betas: tuple[float, float]
    compiled: str = torch_games.COMPILED


class ImageGanStep:
    """The step of paper `ganeval`."""

    def __init__(self, networks: Sequence[nn.Module], game: Game, batch: int, size: int, probe: int):
        """Keeps the networks.

        Args:
            networks: the generator and the discriminator.
            game: their losses.
            batch: images of each update.
            size: of the images, in pixels.
            probe: images of the comparison.
        """
        self._networks = [network.to(torch_steps.device()) for network in networks]
        self._game, self._size, self._probe = game, size, probe
        self.items, self.settings = batch, torch_games.settings(game.compiled)

    def prepare(self, setting: str) -> Run:
        """The whole step, with new random numbers each time."""
        (generator, judge), (make, ask), arrange = torch_games.copy_networks(self._networks, setting)
        optimizers = [
            torch.optim.Adam(network.parameters(), lr=rate, betas=self._game.betas, fused=True)
            for network, rate in zip((generator, judge), self._game.rates, strict=True)
        ]
        images = _images(NUM_STEPS * self.items, self._size)
        parts = [arrange(images[number::NUM_STEPS]) for number in range(NUM_STEPS)]

        def latents() -> Tensor:
            return torch.randn(self.items, self._game.num_latents, device=torch_steps.device())

        def step() -> None:
            for real in parts:
                optimizers[1].zero_grad(set_to_none=True)
                with torch.no_grad():
                    fake = make(latents())
                mixing = torch.rand(self.items, device=torch_steps.device())
                self._game.discriminator_loss(judge, ask, real, fake, mixing).backward()
                optimizers[1].step()
            optimizers[0].zero_grad(set_to_none=True)
            with torch_games.frozen(judge):
                self._game.generator_loss(ask(make(latents()))).backward()
            optimizers[0].step()

        return torch_steps.synchronized(step)

    def parts(self, setting: str) -> Mapping[str, Run]:
        """Both losses with their gradients."""
        (generator, judge), (make, ask), arrange = torch_games.copy_networks(self._networks, setting)
        real = arrange(_images(self.items, self._size))
        latents = torch.randn(self.items, self._game.num_latents, device=torch_steps.device())
        mixing = torch.rand(self.items, device=torch_steps.device())
        with torch.no_grad():
            fake = make(latents)
        losses = {
            "discriminator": (judge, lambda: self._game.discriminator_loss(judge, ask, real, fake, mixing)),
            "generator": (generator, lambda: self._game.generator_loss(ask(make(latents)))),
        }
        return torch_games.make_parts(losses, {})

    def probe(self) -> Probe:
        """Weights, inputs, both losses and their gradients."""
        (generator, judge), _, _ = torch_games.copy_networks(self._networks, self.settings[0])
        real = _images(self._probe, self._size)
        latents = torch.randn(self._probe, self._game.num_latents).to(torch_steps.device())
        mixing = torch.rand(self._probe).to(torch_steps.device())
        fake = generator(latents).detach()
        losses: dict[str, torch_games.Loss] = {
            "discriminator": (
                "discriminator",
                lambda: self._game.discriminator_loss(judge, judge, real, fake, mixing),
            ),
            "generator": ("generator", lambda: self._game.generator_loss(judge(generator(latents)))),
        }
        inputs = {"real": parity.channels_last(real.cpu().numpy())}
        inputs |= {"latents": latents.cpu().numpy(), "mixing": mixing.cpu().numpy()}
        return torch_games.record({"generator": generator, "discriminator": judge}, losses, inputs)

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"torch": torch.__version__}


def num_halvings(size: int) -> int:
    """From images of that size to the coarsest maps."""
    return int(math.log2(size // BASE))


def _images(count: int, size: int) -> Tensor:
    images = np.random.default_rng(0).standard_normal((count, 1, size, size), np.float32)
    return torch.from_numpy(images).to(torch_steps.device())
