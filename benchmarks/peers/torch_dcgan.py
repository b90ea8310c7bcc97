"""DCGAN of images in PyTorch.

The networks are those of `jaxmed.models.gan_plans.DCGAN`, whose modules are called the same.
"""

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers import torch_image_gan
from benchmarks.peers.torch_image_gan import BASE

SLOPE, SMOOTHING, LATENT = 0.2, 0.1, 100


def _leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE)


class Generator(nn.Module):
    """A dense layer, then transposed convolutions of 3 x 3 and stride 2, as TensorFlow pads them."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        self.start = nn.Linear(LATENT, BASE * BASE * widths[0])
        self.num_hidden = len(widths) - 1
        for number, (inside, outside) in enumerate(itertools.pairwise(widths)):
            self.add_module(f"conv_{number}", nn.ConvTranspose2d(inside, outside, 3, stride=2))
        self.image = nn.ConvTranspose2d(widths[-1], 1, 3, stride=2)

    def forward(self, latent: Tensor) -> Tensor:
        """Images, (batch, 1, size, size)."""
        x = self.start(latent).reshape(len(latent), BASE, BASE, -1).movedim(-1, 1)
        x = _leaky(x)
        for number in range(self.num_hidden):
            x = _leaky(self.get_submodule(f"conv_{number}")(x)[..., :-1, :-1])
        return torch.tanh(self.image(x)[..., :-1, :-1])


class Discriminator(nn.Module):
    """Convolutions of 5 x 5 and stride 2, as TensorFlow pads them, and a dense layer."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        self.num_hidden = len(widths)
        for number, (inside, outside) in enumerate(zip((1, *widths), widths, strict=False)):
            self.add_module(f"conv_{number}", nn.Conv2d(inside, outside, 5, stride=2))
        self.source = nn.Linear(BASE * BASE * widths[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, 1)."""
        for number in range(self.num_hidden):
            x = _leaky(self.get_submodule(f"conv_{number}")(functional.pad(x, (1, 2, 1, 2))))
        return self.source(x.movedim(1, -1).flatten(1))


def dcgan(batch: int, size: int, divisor: int, probe: int) -> torch_image_gan.ImageGanStep:
    """A step of DCGAN."""
    torch.manual_seed(0)
    halvings = torch_image_gan.num_halvings(size)
    upwards = [max(width // divisor, 4) for width in (64, 128, 256, 512)]
    # The base has 512 features whatever the size: smaller images lose the layers after it.
    hidden = upwards[: halvings - 1][::-1]
    networks = Generator((upwards[-1], *hidden)), Discriminator(tuple(upwards[:halvings]))
    game = torch_image_gan.Game(LATENT, discriminator_loss, generator_loss, (1e-4, 1e-4), (0.5, 0.99))
    return torch_image_gan.ImageGanStep(networks, game, batch, size, probe)


def discriminator_loss(judge: Any, fast: Any, real: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
    """Cross-entropy with one-sided smoothing."""
    of_real, of_fake = fast(real), fast(fake)
    ones = torch.full_like(of_real, 1 - SMOOTHING)
    entropy = functional.binary_cross_entropy_with_logits
    return entropy(of_real, ones) + entropy(of_fake, torch.zeros_like(of_fake))


def generator_loss(of_fake: Tensor) -> Tensor:
    """Non-saturating."""
    return functional.softplus(-of_fake).mean()
