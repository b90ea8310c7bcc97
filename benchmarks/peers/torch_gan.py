"""A step of a Wasserstein GAN of volumes with gradient penalty and path length, in PyTorch.

The networks are those of `jax_gan`, whose modules are called the same.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.peers import torch_games, torch_steps
from benchmarks.peers.torch_games import gradient_penalty, to_tensor
from benchmarks.peers.work import Probe, Run

SLOPE = 0.2
PENALTY_WEIGHT, PATH_WEIGHT = 10.0, 2.0


def _leaky(x: Tensor) -> Tensor:
    return nn.functional.leaky_relu(x, SLOPE)


class Generator(nn.Module):
    """Latent, two dense layers, then styled convolutions from 4^3 on, each after doubling the size."""

    def __init__(self, latent: int, widths: tuple[int, ...]):
        super().__init__()
        self.dense_0, self.dense_1 = nn.Linear(latent, latent), nn.Linear(latent, latent)
        self.start = nn.Parameter(torch.randn(4**3, widths[0]))
        self.num_levels = len(widths)
        for level, width in enumerate(widths):
            inputs = widths[max(level - 1, 0)]
            self.add_module(f"style_{level}", nn.Linear(latent, inputs))
            self.add_module(f"conv_{level}", nn.Conv3d(inputs, width, 3, padding=1))
        self.image = nn.Conv3d(widths[-1], 1, 1)

    def map(self, latent: Tensor) -> Tensor:
        """From the latent to the styles' common input."""
        return _leaky(self.dense_1(_leaky(self.dense_0(latent))))

    def synthesise(self, styles: Tensor) -> Tensor:
        """Volumes, (batch, 1, size, size, size)."""
        x = self.start.T.reshape(-1, 4, 4, 4).expand(len(styles), -1, -1, -1, -1)
        for level in range(self.num_levels):
            if level:
                x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            style = self.get_submodule(f"style_{level}")(styles)
            x = _leaky(self.get_submodule(f"conv_{level}")(x * (1 + style[:, :, None, None, None])))
        return self.image(x)

    def forward(self, latent: Tensor) -> Tensor:
        """Volumes from latents."""
        return self.synthesise(self.map(latent))


class Critic(nn.Module):
    """Convolutions, each followed by averaging over 2^3, down to 4^3; then a dense layer."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        upwards = widths[::-1]
        self.volume = nn.Conv3d(1, upwards[0], 1)
        self.num_levels = len(upwards)
        for level, width in enumerate(upwards):
            inputs = upwards[max(level - 1, 0)]
            self.add_module(f"conv_{level}", nn.Conv3d(inputs, width, 3, padding=1))
        self.score = nn.Linear(4**3 * upwards[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores, (batch, 1)."""
        x = _leaky(self.volume(x))
        for level in range(self.num_levels):
            x = _leaky(self.get_submodule(f"conv_{level}")(x))
            if level < self.num_levels - 1:
                x = nn.functional.avg_pool3d(x, 2)
        return self.score(x.movedim(1, -1).flatten(1))


class GanStep:
    """A step of the critic, then one of the generator, both with a fused Adam."""

    def __init__(self, batch: int, size: int, latent: int, widths: tuple[int, ...], probe: tuple[int, ...]):
        torch.manual_seed(2)  # from 0 the generator's loss cancels to 3e-4, which no relative error suits
        self._networks = [n.to(torch_steps.device()) for n in (Generator(latent, widths), Critic(widths))]
        self.items, self.settings = batch, torch_games.settings(torch_games.COMPILED_ONCE)
        self._draws = draw_inputs(batch, size, latent), draw_inputs(*probe)

    def prepare(self, setting: str) -> Run:
        """The whole step, with new random numbers each time."""
        (generator, critic), once, inputs = self._make(setting)
        optimizers = [
            torch.optim.Adam(n.parameters(), lr=1e-4, betas=(0.0, 0.99), fused=True)
            for n in (generator, critic)
        ]
        mean_length = torch.zeros((), device=torch_steps.device())

        def step() -> None:
            nonlocal mean_length
            for name in inputs.keys() - {"real"}:
                inputs[name] = (torch.rand_like if name == "mixing" else torch.randn_like)(inputs[name])
            optimizers[1].zero_grad(set_to_none=True)
            critic_loss(critic, inputs, *once).backward()
            optimizers[1].step()
            optimizers[0].zero_grad(set_to_none=True)
            with torch_games.frozen(critic):
                loss, mean_length = generator_loss(generator, inputs, once[1], mean_length)
                loss.backward()
            optimizers[0].step()

        return torch_steps.synchronized(step)

    def _make(self, setting: str) -> tuple[list[Any], list[Any], dict[str, Tensor]]:
        networks, once, arrange = torch_games.copy_networks(self._networks, setting)
        inputs = {name: to_tensor(array) for name, array in self._draws[0].items()}
        return networks, once, inputs | {"real": arrange(inputs["real"])}

    def parts(self, setting: str) -> Mapping[str, Run]:
        """The critic's scores, and each term of both losses with its gradients."""
        (generator, critic), once, inputs = self._make(setting)
        with torch.no_grad():
            fake = generator(inputs["critic_latent"])
        zero = torch.zeros((), device=torch_steps.device())

        def score() -> Tensor:
            return -once[1](once[0](inputs["generator_latent"])).mean()

        def path() -> Tensor:
            styles = generator.map(inputs["generator_latent"])
            volumes = generator.synthesise(styles)
            return torch_games.path_penalty(volumes, styles, inputs["noise"], zero)[0]

        losses = {
            "critic without penalty": (critic, lambda: distance(once[1], inputs["real"], fake)),
            "gradient penalty": (
                critic,
                lambda: gradient_penalty(critic, inputs["real"], fake, inputs["mixing"]),
            ),
            "generator without path length": (generator, score),
            "path length": (generator, path),
        }
        return torch_games.make_parts(losses, {"critic forward": lambda: once[1](inputs["real"])})

    def probe(self) -> Probe:
        """Weights, inputs, both losses and their gradients."""
        (generator, critic), _, _ = torch_games.copy_networks(self._networks, self.settings[0])
        inputs = {name: to_tensor(array) for name, array in self._draws[1].items()}
        zero = torch.zeros((), device=torch_steps.device())
        losses: dict[str, torch_games.Loss] = {
            "critic": ("critic", lambda: critic_loss(critic, inputs, generator, critic)),
            "generator": ("generator", lambda: generator_loss(generator, inputs, critic, zero)[0]),
        }
        return torch_games.record({"generator": generator, "critic": critic}, losses, self._draws[1])

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"torch": torch.__version__}


def draw_inputs(batch: int, size: int, latent: int) -> dict[str, np.ndarray]:
    """Real volumes and the random numbers of a step, volumes channels last."""
    generator = np.random.default_rng(0)
    normal, volume = generator.standard_normal, (batch, size, size, size, 1)
    return {
        "real": normal(volume, np.float32),
        "critic_latent": normal((batch, latent), np.float32),
        "generator_latent": normal((batch, latent), np.float32),
        "mixing": generator.random(batch, np.float32),
        "noise": normal(volume, np.float32),
    }


def distance(critic: Any, real: Tensor, fake: Tensor) -> Tensor:
    """Difference of the scores."""
    return (critic(fake) - critic(real)).mean()


def critic_loss(
    critic: Critic, inputs: Mapping[str, Tensor], fast_generator: Any, fast_critic: Any
) -> Tensor:
    """Difference of the scores, and the penalty for slopes away from 1 between real and generated."""
    real = inputs["real"]
    with torch.no_grad():
        fake = fast_generator(inputs["critic_latent"])
    penalty = gradient_penalty(critic, real, fake, inputs["mixing"])
    return distance(fast_critic, real, fake) + PENALTY_WEIGHT * penalty


def generator_loss(
    generator: Generator, inputs: Mapping[str, Tensor], fast_critic: Any, mean_length: Tensor
) -> tuple[Tensor, Tensor]:
    """Minus the score, and the squared distance of path lengths from their moving mean."""
    styles = generator.map(inputs["generator_latent"])
    volumes = generator.synthesise(styles)
    penalty, mean_length = torch_games.path_penalty(volumes, styles, inputs["noise"], mean_length)
    return PATH_WEIGHT * penalty - fast_critic(volumes).mean(), mean_length
