"""What jaxmed's sides of adversarial networks share: the step that runs, and the comparison with the peer."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import parity
from benchmarks.peers.work import Probe, Run
from jaxmed.train import fit
from jaxmed.train import mesh as meshes

Params = Mapping[str, Any]
"""Parameters by the name of their network."""

Loss = Callable[[Params, Any], jax.Array]
"""Mean over the batch, from all networks' parameters and the inputs."""

Losses = Mapping[str, tuple[str, Loss]]
"""By name: the network whose gradients are taken, and the loss."""


def make_run(
    algorithm: fit.Algorithm, batch: Mapping[str, np.ndarray], steps: Iterator[int] | None = None
) -> Run:
    """The step that `train` runs, with new random numbers each time.

    Args:
        algorithm: whose step.
        batch: lies on the device.
        steps: numbers of the steps to take; None for all in turn.
    """
    mesh = meshes.make_mesh(devices=jax.local_devices()[:1])
    on_device = meshes.put_batch(batch, mesh)
    key = meshes.replicate(jax.random.key(0, impl="rbg"), mesh)
    state = jax.jit(algorithm.init, out_shardings=meshes.replicated(mesh))(key, on_device)
    step = fit.compile_step(algorithm, mesh)
    fold = jax.jit(jax.random.fold_in)

    def run() -> None:
        nonlocal state
        if steps is not None:
            state = state.replace(step=meshes.replicate(np.int32(next(steps)), mesh))
        state, metrics = step(state, on_device, fold(key, state.step))
        jax.block_until_ready((state, metrics))

    return run


def make_parts(
    losses: Losses, forward: Mapping[str, Callable], params: Params, inputs: Any
) -> dict[str, Run]:
    """Losses with their gradients, and what is only computed, each a program of its own.

    Args:
        losses: by the part's name.
        forward: functions of `params` and `inputs`, by the part's name.
        params: of all networks.
        inputs: of all parts.
    """
    functions = {name: jax.jit(function) for name, function in forward.items()}
    functions |= {name: _value_and_grad(*loss) for name, loss in losses.items()}

    def run(function: Callable) -> None:
        jax.block_until_ready(function(params, inputs))

    return {name: functools.partial(run, function) for name, function in functions.items()}


def read_inputs(probe: Probe) -> dict[str, jax.Array]:
    """The peer's inputs."""
    return {name[6:]: jnp.asarray(array) for name, array in probe.items() if name.startswith("input:")}


def compare(probe: Probe, shapes: Params, losses: Losses, inputs: Any) -> dict[str, float]:
    """Differences of numbers of parameters, of losses and of their gradients.

    Args:
        probe: of the peer, as `torch_games.record` makes it.
        shapes: of the parameters of all networks.
        losses: named as the peer's.
        inputs: the peer's.
    """
    prefix = parity.WEIGHT
    params = {name: parity.to_flax(tree, probe, prefix=f"{prefix}{name}.") for name, tree in shapes.items()}
    errors, distances = [], []
    with jax.default_matmul_precision("highest"):
        for name, (whose, loss) in losses.items():
            value, gradient = _value_and_grad(whose, loss)(params, inputs)
            errors.append(parity.relative_error(np.asarray(value), probe[f"loss:{name}"]))
            wanted = parity.to_flax(shapes[whose], probe, prefix=f"{parity.GRADIENT}{name}.")
            distances.append(parity.worst_leaf(gradient, wanted))
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    return {
        "parameters": float(abs(count - parity.num_parameters(probe))),
        "loss": max(errors),
        "gradients": max(distances),
    }


def _value_and_grad(whose: str, loss: Loss) -> Callable[[Params, Any], Any]:
    def evaluate(params: Params, inputs: Any) -> Any:
        return jax.value_and_grad(lambda own: loss({**params, whose: own}, inputs))(params[whose])

    return jax.jit(evaluate)


def shapes_of(network: nn.Module, *inputs: Any, **options: Any) -> Any:
    """Shapes of the network's variables for example inputs."""
    return jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, **options))
