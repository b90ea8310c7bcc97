"""What the steps of adversarial networks in PyTorch share: settings, penalties, parts, what is compared."""

import contextlib
import copy
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.peers import parity, torch_steps
from benchmarks.peers.work import Probe, Run

Loss = tuple[str, Callable[[], Tensor]]
"""The network whose gradients it gives, and its mean over the batch."""

COMPILED, COMPILED_ONCE = "compiled", "compiled where derivatives are taken once"
"""How a setting's name begins; PyTorch does not compile what is differentiated twice."""


def settings(compiled: str = COMPILED, *variants: Sequence[str]) -> tuple[str, ...]:
    """Names of all settings: eager and compiled, both layouts, and the variants of a step's own."""
    choices = ("eager", compiled), ("channels first", "channels last"), *variants, ("float32",)
    return tuple(", ".join(names) for names in itertools.product(*choices))


def copy_networks(networks: Sequence[nn.Module], setting: str) -> tuple[list[Any], list[Any], Any]:
    """Networks to train in a setting, the functions that compute them, and their images' layout.

    Args:
        networks: what is copied.
        setting: one of `settings`.

    Returns:
        The copies; what is called where derivatives are taken once, compiled or the copies themselves; and
        the layout, a function of a batch of images.
    """

    def arrange(images: Tensor) -> Tensor:
        is_last = "channels last" in setting
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}
        return images.contiguous(memory_format=formats[images.ndim] if is_last else torch.contiguous_format)

    copies = [copy.deepcopy(network).train() for network in networks]
    for parameter in itertools.chain(*(network.parameters() for network in copies)):
        if parameter.ndim in (4, 5):
            parameter.data = arrange(parameter.data)
    once = [torch.compile(network) for network in copies] if setting.startswith("compiled") else copies
    return copies, once, arrange


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """The network's parameters are constants; what is generated still has gradients through it."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in network.parameters():
            parameter.requires_grad_(True)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mixing: Tensor
) -> Tensor:
    """Squared distance of the critic's slope from 1 between real and generated, mean over the batch."""
    mixing = mixing.reshape(-1, *(1,) * (real.ndim - 1))
    between = (fake + mixing * (real - fake)).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def path_penalty(
    images: Tensor, styles: Tensor, direction: Tensor, mean_length: Tensor, decay: float = 0.99
) -> tuple[Tensor, Tensor]:
    """Squared distance of path lengths from their moving mean, mean over the batch, and the new moving mean.

    Args:
        images: made from `styles`.
        styles: (batch, width), or (batch, layers, width), whose squares are averaged over the layers.
        direction: standard normal, of the images' shape.
        mean_length: the moving mean so far.
        decay: what of it stays.
    """
    scale = images[0].numel() ** -0.5
    (slope,) = torch.autograd.grad((images * direction).sum() * scale, styles, create_graph=True)
    lengths = slope.square().sum(-1).reshape(len(slope), -1).mean(1).sqrt()
    mean_length = (decay * mean_length + (1 - decay) * lengths.mean()).detach()
    return ((lengths - mean_length) ** 2).mean(), mean_length


def make_parts(
    losses: Mapping[str, tuple[nn.Module, Callable[[], Tensor]]], forward: Mapping[str, Callable[[], Tensor]]
) -> dict[str, Run]:
    """Losses with the gradients of their network, and what is only computed.

    Args:
        losses: the network and the loss, by the part's name.
        forward: by the part's name.
    """

    def compute(function: Callable[[], Tensor]) -> None:
        with torch.no_grad():
            function()

    def differentiate(network: nn.Module, loss: Callable[[], Tensor]) -> None:
        torch.autograd.grad(loss(), list(network.parameters()), allow_unused=True)

    runs = {name: functools.partial(compute, function) for name, function in forward.items()}
    runs |= {name: functools.partial(differentiate, *loss) for name, loss in losses.items()}
    return {name: torch_steps.synchronized(run) for name, run in runs.items()}


def record(networks: Mapping[str, nn.Module], losses: Mapping[str, Loss], inputs: Mapping[str, Any]) -> Probe:
    """Inputs, weights, losses and their gradients, as `jax_games.compare` takes them.

    Args:
        networks: by name.
        losses: by name.
        inputs: arrays, channels last.
    """
    found: dict[str, Any] = {f"input:{name}": array for name, array in inputs.items()}
    for name, network in networks.items():
        for key, parameter in network.named_parameters():
            found[f"{parity.WEIGHT}{name}.{key}"] = _show(network, key, parameter)
    for name, (whose, loss) in losses.items():
        network, value = networks[whose], loss()
        found[f"loss:{name}"] = value.detach().cpu().numpy()
        gradients = torch.autograd.grad(value, list(network.parameters()), materialize_grads=True)
        for (key, _), gradient in zip(network.named_parameters(), gradients, strict=True):
            found[f"{parity.GRADIENT}{name}.{key}"] = _show(network, key, gradient)
    return found


def _show(network: nn.Module, key: str, tensor: Tensor) -> np.ndarray:
    """A transposed convolution's as the kernel over the input with zeros between its elements."""
    array = tensor.detach().cpu().numpy()
    module, _, last = key.rpartition(".")
    is_transposed = last == "weight" and is_transposed_conv(network.get_submodule(module))
    window = tuple(range(2, array.ndim))
    return np.ascontiguousarray(np.flip(array, window).swapaxes(0, 1)) if is_transposed else array.copy()


def is_transposed_conv(module: nn.Module) -> bool:
    """Whether the weight is that of a transposed convolution, (in, out, *window)."""
    return isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d) or getattr(
        module, "is_transposed", False
    )


def to_tensor(array: np.ndarray) -> Tensor:
    """On the device; images and volumes, channels last, become channels first."""
    moved = parity.channels_first(array) if array.ndim >= 4 else array
    return torch.from_numpy(moved).to(torch_steps.device())
