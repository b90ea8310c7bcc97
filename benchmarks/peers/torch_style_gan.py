"""A step of 3D-StyleGAN in PyTorch: discriminator, generator, perhaps path length, and the moving average."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers import torch_games, torch_steps, torch_style_networks
from benchmarks.peers.torch_games import to_tensor
from benchmarks.peers.work import Probe, Run

RATE, EVERY, PATH_WEIGHT, SHRINK, MIXING, HALF_LIFE = 0.002, 16, 2.0, 2, 0.9, 10_000.0
_LAZY = EVERY / (EVERY + 1)


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
        torch.manual_seed(0)
        networks = (
            torch_style_networks.Generator(base, num_doublings, width, latent),
            torch_style_networks.Discriminator(base, num_doublings, width),
        )
        self._networks = [network.to(torch_steps.device()) for network in networks]
        self._sizes = [tuple(size << level for size in base) for level in range(num_doublings + 1)]
        self._latent, self._path, self._probe, self.items = latent, path, probe, batch
        self.settings = torch_games.settings(torch_games.COMPILED_ONCE, torch_style_networks.FILTERS)

    def _make(self, setting: str) -> tuple[list[Any], list[Any], dict[str, Tensor]]:
        networks, once, arrange = torch_games.copy_networks(self._networks, setting)
        for module in (module for network in networks for module in network.modules()):
            if isinstance(module, torch_style_networks.LowPass):
                module.form = next(form for form in torch_style_networks.FILTERS if form in setting)
        inputs = {name: to_tensor(array) for name, array in self._draw(self.items).items()}
        return networks, once, inputs | {"real": arrange(inputs["real"])}

    def prepare(self, setting: str) -> Run:
        """The whole step, with new random numbers each time."""
        (generator, judge), (make, ask), inputs = self._make(setting)
        adam = torch.optim.Adam
        optimizers = [
            adam(generator.parameters(), RATE * _LAZY, betas=(0.0, 0.99**_LAZY), eps=1e-8, fused=True),
            adam(judge.parameters(), RATE, betas=(0.0, 0.99), eps=1e-8, fused=True),
        ]
        average = [parameter.detach().clone() for parameter in generator.parameters()]
        decay = 0.5 ** (self.items / HALF_LIFE)
        mean_length = torch.zeros((), device=torch_steps.device())

        def step() -> None:
            nonlocal mean_length
            optimizers[1].zero_grad(set_to_none=True)
            with torch.no_grad():
                fake = make(*self._redraw(inputs))
            discriminator_loss(ask, inputs["real"], fake).backward()
            optimizers[1].step()
            optimizers[0].zero_grad(set_to_none=True)
            drawn = self._redraw(inputs)
            with torch_games.frozen(judge):
                generator_loss(ask, make(*drawn)).backward()
            optimizers[0].step()
            if self._path:
                optimizers[0].zero_grad(set_to_none=True)
                direction = torch.randn_like(drawn[2][-1][::SHRINK])
                loss, mean_length = path_loss(generator, drawn, direction, mean_length)
                loss.backward()
                optimizers[0].step()
            with torch.no_grad():
                torch._foreach_lerp_(average, list(generator.parameters()), 1 - decay)

        return torch_steps.synchronized(step)

    def _redraw(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """New latents, crossovers and noise of the same shapes."""
        latents, crossover, noise = _arguments(inputs)
        layer = torch.randint_like(crossover, 1, len(noise) + 1)
        is_mixed = torch.rand(len(crossover), device=layer.device) < MIXING
        crossover = torch.where(is_mixed, layer, len(noise) + 1)
        return torch.randn_like(latents), crossover, [torch.randn_like(one) for one in noise]

    def parts(self, setting: str) -> Mapping[str, Run]:
        """Both networks alone, and their losses with gradients; of the other line, the path length."""
        (generator, judge), (make, ask), inputs = self._make(setting)
        drawn, direction = _arguments(inputs), inputs["direction"][::SHRINK]
        zero = torch.zeros((), device=torch_steps.device())
        with torch.no_grad():
            fake = make(*drawn)
        if self._path:
            path = {"path length": (generator, lambda: path_loss(generator, drawn, direction, zero)[0])}
            return torch_games.make_parts(path, {})
        losses = {
            "discriminator's loss": (judge, lambda: discriminator_loss(ask, inputs["real"], fake)),
            "generator's loss": (generator, lambda: generator_loss(ask, make(*drawn))),
        }
        forward = {"generator": lambda: make(*drawn), "discriminator": lambda: ask(inputs["real"])}
        return torch_games.make_parts(losses, forward)

    def probe(self) -> Probe:
        """Weights, inputs, and the three losses with their gradients, these in float64.

        In float32 PyTorch's gradient of the path length of a 4 x 40 x 48 x 56 batch is off by 6e-3 on a CPU.
        """
        (generator, judge), _, _ = torch_games.copy_networks(self._networks, self.settings[0])
        with torch.no_grad():  # biases and strengths of noise, 0 at first, shall be seen too
            for parameter in (*generator.parameters(), *judge.parameters()):
                parameter += 0.1 * torch.randn_like(parameter)
        generator, judge = generator.double(), judge.double()
        arrays = self._draw(self._probe)
        inputs = {name: to_tensor(array) for name, array in arrays.items()}
        inputs = {name: one.double() if one.is_floating_point() else one for name, one in inputs.items()}
        drawn, direction = _arguments(inputs), inputs["direction"][::SHRINK]
        zero, fake = torch.zeros((), device=torch_steps.device()), generator(*drawn).detach()
        losses: dict[str, torch_games.Loss] = {
            "discriminator": ("discriminator", lambda: discriminator_loss(judge, inputs["real"], fake)),
            "generator": ("generator", lambda: generator_loss(judge, generator(*drawn))),
            "path": ("generator", lambda: path_loss(generator, drawn, direction, zero)[0]),
        }
        return torch_games.record({"generator": generator, "discriminator": judge}, losses, arrays)

    def _draw(self, count: int) -> dict[str, np.ndarray]:
        """Real volumes and random numbers, channels last; styles are mixed from any layer on, or not."""
        generator = np.random.default_rng(0)
        normal, volume = generator.standard_normal, (count, *self._sizes[-1], 1)
        arrays = {
            "real": normal(volume, np.float32),
            "direction": normal(volume, np.float32),
            "latents": normal((count, 2, self._latent), np.float32),
            "crossover": generator.integers(1, 2 * len(self._sizes) + 1, count),
        }
        for number in range(2 * len(self._sizes) - 1):
            size = self._sizes[(number + 1) // 2]
            arrays[f"noise_{number}"] = normal((count, *size, 1), np.float32)
        return arrays

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"torch": torch.__version__}


def _arguments(inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """What the generator is called with."""
    count = sum(name.startswith("noise_") for name in inputs)
    noise = [inputs[f"noise_{number}"] for number in range(count)]
    return inputs["latents"], inputs["crossover"], noise


def discriminator_loss(judge: Any, real: Tensor, fake: Tensor) -> Tensor:
    """Logistic."""
    return (functional.softplus(-judge(real)) + functional.softplus(judge(fake))).mean()


def generator_loss(judge: Any, fake: Tensor) -> Tensor:
    """Non-saturating."""
    return functional.softplus(-judge(fake)).mean()


def path_loss(
    generator: nn.Module, drawn: tuple[Tensor, Tensor, list[Tensor]], direction: Tensor, mean_length: Tensor
) -> tuple[Tensor, Tensor]:
    """The weighted penalty of every `SHRINK`-th example, and the new moving mean of path lengths."""
    latents, crossover, noise = drawn
    few = [one[::SHRINK] for one in noise]
    styles = generator.map(latents[::SHRINK], crossover[::SHRINK])
    volumes = generator.synthesise(styles, few)
    penalty, mean_length = torch_games.path_penalty(volumes, styles, direction, mean_length)
    return PATH_WEIGHT * EVERY * penalty, mean_length
