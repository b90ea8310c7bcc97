"""The only training loop: it moves batches to the mesh, calls the step, and tells the observers."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxmed.ops import collectives
from jaxmed.train import mesh as meshes
from jaxmed.types import DATA_AXIS, SPACE_AXIS, Batch

CompileMode = Literal["jit", "pmap"]

Observer = Callable[[int, Any, dict[str, jax.Array]], None]
"""Called as `observer(step, state, metrics)` after the step that led to `state.step == step`; the state is
valid only during the call, since the next step overwrites it."""

_STEPS_IN_FLIGHT = 2


class Algorithm(NamedTuple):
    """Pure functions that define a training method.

    Attributes:
        init: `(key, batch) -> state`, a pytree of arrays with an int32 scalar `state.step`; the batch
            supplies shapes only.
        step: `(state, batch, key) -> (state, metrics)`: jittable, the state's shapes and dtypes kept,
            metrics a flat dict of scalars.
        refresh: `(state) -> state` on the host between steps, such as re-clustering, or None.
    """

    init: Callable[[jax.Array, Batch], Any]
    step: Callable[[Any, Batch, jax.Array], tuple[Any, dict[str, jax.Array]]]
    refresh: Callable[[Any], Any] | None = None


def compile_step(algorithm: Algorithm, mesh: Mesh, mode: str = "jit") -> Callable:
    """Turns the step of an algorithm into a function on the mesh that donates the state.

    Args:
        algorithm: whose step.
        mesh: devices, with the axes data and space.
        mode: "jit" compiles one program for the whole mesh; means over the batch are global. "pmap"
            compiles one program per device of the data axis, as multi-GPU training with replicas does:
            gradients are averaged over devices, normalisation statistics are each device's own.

    Returns:
        `(state, batch, key) -> (state, metrics)`, jitted.

    Raises:
        ValueError: for an unknown mode, or "pmap" with a space axis larger than 1.
    """
    if mode == "jit":
        step = algorithm.step
    elif mode == "pmap":
        if mesh.shape[SPACE_AXIS] > 1:
            raise ValueError(
                f"compile mode 'pmap' runs one program per device: mesh.space must be 1, "
                f"not {mesh.shape[SPACE_AXIS]}"
            )
        step = _per_device(algorithm.step, mesh)
    else:
        raise ValueError(f"unknown compile mode '{mode}'; known: jit, pmap")
    return jax.jit(step, donate_argnums=0, out_shardings=meshes.replicated(mesh))


def _per_device(step: Callable, mesh: Mesh) -> Callable:
    def local_step(state, batch, key):
        state, metrics = step(state, batch, key)
        return state, collectives.mean_over_devices(metrics)

    # Replication is not checked: with the check, gradients of replicated parameters would be summed
    # over devices behind update_net's back.
    whole, by_example = PartitionSpec(), PartitionSpec(DATA_AXIS)
    return jax.shard_map(
        local_step, mesh=mesh, in_specs=(whole, by_example, whole), out_specs=whole, check_vma=False
    )


def fit(
    algorithm: Algorithm,
    state: Any,
    batches: Iterator[Mapping[str, np.ndarray]],
    *,
    key: jax.Array,
    num_steps: int,
    mesh: Mesh,
    mode: CompileMode = "jit",
    refresh_every: int = 1,
    observers: Sequence[Observer] = (),
) -> Any:
    """Trains from `state.step` up to `num_steps`.

    The step with number i uses the key `fold_in(key, i)`, so that a run cut anywhere and resumed from
    its state and its place in the data gives the same arrays. While the devices work on a step, the next
    batch is loaded and sent.

    Args:
        algorithm: the training method.
        state: where to start; consumed (its buffers are donated to the first step).
        batches: this process's part of each batch, the first one for step `state.step`.
        key: the run's key.
        num_steps: the step at which to stop; a state that is there already comes back as it is.
        mesh: devices, with the axes data and space.
        mode: see `compile_step`.
        refresh_every: steps between calls of `algorithm.refresh`.
        observers: called after every step.

    Returns:
        The state after `num_steps` steps, replicated on the mesh.
    """
    first_step = int(state.step)
    state, key = jax.device_put((state, key), meshes.replicated(mesh))
    if first_step >= num_steps:
        return state
    step_fn = compile_step(algorithm, mesh, mode)
    in_flight: deque = deque()
    batch = meshes.put_batch(next(batches), mesh)
    for step in range(first_step, num_steps):
        if algorithm.refresh and step % refresh_every == 0:
            state = jax.device_put(algorithm.refresh(state), meshes.replicated(mesh))
        state, metrics = step_fn(state, batch, jax.random.fold_in(key, step))
        if step + 1 < num_steps:
            batch = meshes.put_batch(next(batches), mesh)
        for observe in observers:
            observe(step + 1, state, metrics)
        # Unbounded dispatch would pile up batches in device memory.
        in_flight.append(metrics)
        if len(in_flight) > _STEPS_IN_FLIGHT:
            jax.block_until_ready(in_flight.popleft())
    return state
