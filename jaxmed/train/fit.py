"""The only training loop: it moves batches to the mesh, calls the step, and tells the observers."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxmed.ops import collectives
from jaxmed.train import guard, memory
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
            metrics a flat dict of scalars, those that are losses with "loss" in their names.
        refresh: `(state) -> state` on the host between steps, such as re-clustering, or None.
    """

    init: Callable[[jax.Array, Batch], Any]
    step: Callable[[Any, Batch, jax.Array], tuple[Any, dict[str, jax.Array]]]
    refresh: Callable[[Any], Any] | None = None


def compile_step(algorithm: Algorithm, mesh: Mesh, mode: str = "jit") -> Callable:
    """Turns the step of an algorithm into a function on the mesh that donates the state.

    An update that leads to NaN or infinity is not taken (`guard.keep_finite`).

    Args:
        algorithm: whose step.
        mesh: devices, with the axes data and space.
        mode: "jit" compiles one program for the whole mesh; means over the batch are global. "pmap"
            compiles one program per device of the data axis, as multi-GPU training with replicas does:
            gradients are averaged over devices, normalisation statistics are each device's own.

    Returns:
        `(state, batch, key) -> (state, metrics)`, jitted; the metrics have `guard.FINITE` in addition.

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
    guarded = guard.keep_finite(step)

    def whole_step(state, batch, key):
        return guarded(state, meshes.crop_padding(batch), key)

    return jax.jit(whole_step, donate_argnums=0, out_shardings=meshes.replicated(mesh))


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
    should_stop: Callable[[int], bool] | None = None,
    skipped: guard.SkippedSteps | None = None,
) -> Any:
    """Trains from `state.step` up to `num_steps`.

    The step with number i uses the key `fold_in(key, i)`, so that a run cut anywhere and resumed from
    its state and its place in the data gives the same arrays. While the devices work on a step, the next
    batch is loaded and sent. A step that leads to NaN or infinity counts, but leaves the state as it was.

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
        should_stop: asked with the number of each step after it; training ends early where it says so. All
            processes must get the same answers.
        skipped: says how many steps in a row may lead to NaN or infinity; 10 by default.

    Returns:
        The state after `num_steps` steps, or where `should_stop` ended it; replicated on the mesh.

    Raises:
        NonFiniteError: if too many steps in a row lead to NaN or infinity.
        OutOfMemoryError: if a device has too little memory for the step.
    """
    first_step = int(state.step)
    state, key = meshes.replicate((state, key), mesh)
    if first_step >= num_steps:
        return state
    step_fn = compile_step(algorithm, mesh, mode)
    skipped = skipped or guard.SkippedSteps()
    in_flight: deque[tuple[int, jax.Array]] = deque()
    batch = meshes.put_batch(next(batches), mesh)
    with memory.explain_exhaustion(step_fn, state, batch, key):
        for step in range(first_step, num_steps):
            if algorithm.refresh and step % refresh_every == 0:
                state = meshes.replicate(algorithm.refresh(state), mesh)
            state, metrics = step_fn(state, batch, jax.random.fold_in(key, step))
            in_flight.append((step + 1, metrics.pop(guard.FINITE)))
            stop = step + 1 == num_steps or (should_stop is not None and should_stop(step + 1))
            if not stop:
                batch = meshes.put_batch(next(batches), mesh)
            for observe in observers:
                observe(step + 1, state, metrics)
            # Unbounded dispatch would pile up batches in device memory.
            while len(in_flight) > (0 if stop else _STEPS_IN_FLIGHT):
                skipped.check(*in_flight.popleft())
            if stop:
                break
    return state
