"""A step of DCGAN on images in PyTorch: two updates of the discriminator, one of the generator.

The networks are those of `jaxmed.models.gan_plans.DCGAN`, whose modules are called the same.
"""

import copy
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers import parity, torch_steps
from benchmarks.peers.work import Probe, Run

SLOPE, SMOOTHING, NUM_STEPS, LATENT, BASE = 0.2, 0.1, 2, 100, 5


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


class DcganStep:
    """The step of paper `ganeval`."""

    def __init__(self, batch: int, size: int, divisor: int, probe: int):
        torch.manual_seed(0)
        halvings = int(np.log2(size // BASE))
        upwards = [max(width // divisor, 4) for width in (64, 128, 256, 512)]
        # The base has 512 features whatever the size: smaller images lose the layers after it.
        hidden = upwards[: halvings - 1][::-1]
        networks = Generator((upwards[-1], *hidden)), Discriminator(tuple(upwards[:halvings]))
        self._networks = [network.to(torch_steps.device()) for network in networks]
        self.items, self._size, self._probe = batch, size, probe
        self.settings = tuple(
            f"{mode}, channels {layout}, float32"
            for mode in ("eager", "compiled")
            for layout in ("first", "last")
        )

    def prepare(self, setting: str) -> Run:
        """The whole step, with new latents each time."""
        layout = torch.channels_last if "channels last" in setting else torch.contiguous_format
        generator, judge = (copy.deepcopy(n).to(memory_format=layout) for n in self._networks)
        make, ask = generator, judge
        if setting.startswith("compiled"):
            make, ask = torch.compile(generator), torch.compile(judge)
        optimizers = [
            torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.5, 0.99), fused=True)
            for network in (generator, judge)
        ]
        parts = [
            _images(NUM_STEPS * self.items, self._size)[k::NUM_STEPS].contiguous(memory_format=layout)
            for k in range(NUM_STEPS)
        ]

        def latents() -> Tensor:
            return torch.randn(self.items, LATENT, device=torch_steps.device())

        def step() -> None:
            for real in parts:
                optimizers[1].zero_grad(set_to_none=True)
                with torch.no_grad():
                    fake = make(latents())
                discriminator_loss(ask, real, fake).backward()
                optimizers[1].step()
            optimizers[0].zero_grad(set_to_none=True)
            for parameter in judge.parameters():
                parameter.requires_grad_(False)
            generator_loss(ask, make(latents())).backward()
            for parameter in judge.parameters():
                parameter.requires_grad_(True)
            optimizers[0].step()

        return torch_steps.synchronized(step)

    def parts(self, setting: str) -> Mapping[str, Run]:
        """None."""
        return {}

    def probe(self) -> Probe:
        """Weights, inputs, both losses and their gradients."""
        generator, judge = copy.deepcopy(self._networks)
        real, latent = _images(self._probe, self._size), torch.randn(self._probe, LATENT)
        latent = latent.to(torch_steps.device())
        found: dict[str, Any] = {
            "input:real": parity.channels_last(real.cpu().numpy()),
            "input:latent": latent.cpu().numpy(),
        }
        values = {"discriminator": discriminator_loss(judge, real, generator(latent).detach())}
        values["generator"] = generator_loss(judge, generator(latent))
        for name, network in (("discriminator", judge), ("generator", generator)):
            found[f"loss:{name}"] = values[name].detach().cpu().numpy()
            gradients = torch.autograd.grad(values[name], list(network.parameters()))
            for (key, parameter), gradient in zip(network.named_parameters(), gradients, strict=True):
                is_transposed = name == "generator" and parameter.ndim == 4
                for prefix, tensor in ((parity.WEIGHT, parameter), (parity.GRADIENT, gradient)):
                    array = tensor.detach().cpu().numpy()
                    # As the kernel of the convolution over the input with zeros between its elements.
                    shown = np.flip(array, (2, 3)).swapaxes(0, 1) if is_transposed else array
                    found[f"{prefix}{name}.{key}"] = np.ascontiguousarray(shown)
        return found

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"torch": torch.__version__}


def _images(count: int, size: int) -> Tensor:
    images = np.random.default_rng(0).standard_normal((count, 1, size, size), np.float32)
    return torch.from_numpy(images).to(torch_steps.device())


def discriminator_loss(judge: Any, real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy with one-sided smoothing."""
    of_real, of_fake = judge(real), judge(fake)
    ones = torch.full_like(of_real, 1 - SMOOTHING)
    entropy = functional.binary_cross_entropy_with_logits
    return entropy(of_real, ones) + entropy(of_fake, torch.zeros_like(of_fake))


def generator_loss(judge: Any, fake: Tensor) -> Tensor:
    """Non-saturating."""
    return functional.softplus(-judge(fake)).mean()
