"""Wasserstein GAN with gradient penalty of images in PyTorch.

The networks are those of `jaxmed.models.gan_plans.WGAN_GP`, whose modules are called the same.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers import torch_games, torch_image_gan
from benchmarks.peers.torch_image_gan import BASE

SLOPE, PENALTY_WEIGHT, LATENT, WIDTH = 0.2, 10.0, 128, 128


def _leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


class Generator(nn.Module):
    """A dense layer, then residual blocks that double the size, with batch normalisation."""

    def __init__(self, width: int, num_blocks: int):
        super().__init__()
        self.start, self.num_blocks = nn.Linear(LATENT, BASE * BASE * width), num_blocks
        for number in range(num_blocks):
            self.add_module(f"norm_{number}_0", nn.BatchNorm2d(width))
            self.add_module(f"up_{number}", nn.Conv2d(width, width, 3, padding=1, bias=False))
            self.add_module(f"norm_{number}_1", nn.BatchNorm2d(width))
            self.add_module(f"conv_{number}", nn.Conv2d(width, width, 3, padding=1, bias=False))
            self.add_module(f"skip_{number}", nn.Conv2d(width, width, 1, bias=False))
        self.norm_image = nn.BatchNorm2d(width)
        self.image = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """Images, (batch, 1, size, size)."""
        x = self.start(latents).reshape(len(latents), BASE, BASE, -1).movedim(-1, 1)
        for number in range(self.num_blocks):
            part = self.get_submodule
            y = part(f"up_{number}")(_double(_leaky(part(f"norm_{number}_0")(x))))
            y = part(f"conv_{number}")(_leaky(part(f"norm_{number}_1")(y)))
            # The same before and after doubling, which it takes a quarter of the products of.
            x = _double(part(f"skip_{number}")(x)) + y
        return torch.tanh(self.image(_leaky(self.norm_image(x))))


class Critic(nn.Module):
    """Residual blocks that halve the size, the mean over all places, and a dense layer; no normalisation."""

    def __init__(self, width: int, num_blocks: int):
        super().__init__()
        self.num_blocks = num_blocks
        for number in range(num_blocks):
            inputs = width if number else 1
            self.add_module(f"conv_{number}_0", nn.Conv2d(inputs, width, 3, padding=1))
            self.add_module(f"conv_{number}_1", nn.Conv2d(width, width, 3, padding=1))
            self.add_module(f"skip_{number}", nn.Conv2d(inputs, width, 1))
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scores, (batch, 1)."""
        for number in range(self.num_blocks):
            part = self.get_submodule
            y = part(f"conv_{number}_0")(_leaky(x) if number else x)
            y = functional.avg_pool2d(part(f"conv_{number}_1")(_leaky(y)), 2)
            x = part(f"skip_{number}")(functional.avg_pool2d(x, 2)) + y
        return self.score(_leaky(x).mean((2, 3)))


def wgan_gp(batch: int, size: int, divisor: int, probe: int) -> torch_image_gan.ImageGanStep:
    """A step of WGAN-GP."""
    torch.manual_seed(0)
    sizes = max(WIDTH // divisor, 4), torch_image_gan.num_halvings(size)
    rates, betas = (2e-4, 1e-4), (0.0, 0.9)
    game = torch_image_gan.Game(LATENT, critic_loss, generator_loss, rates, betas, torch_games.COMPILED_ONCE)
    return torch_image_gan.ImageGanStep((Generator(*sizes), Critic(*sizes)), game, batch, size, probe)


def critic_loss(critic: Any, fast: Any, real: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
    """Difference of the scores, and the penalty for slopes away from 1 between real and generated."""
    penalty = torch_games.gradient_penalty(critic, real, fake, mixing)
    return (fast(fake) - fast(real)).mean() + PENALTY_WEIGHT * penalty


def generator_loss(of_fake: Tensor) -> Tensor:
    """Minus the score."""
    return -of_fake.mean()
