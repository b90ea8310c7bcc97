"""The only training loop: it moves batches to the mesh, calls the step, and tells the observers."""

import contextlib
import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxmed.ops import collectives
from jaxmed.train import dispatch, guard, memory
from jaxmed.train import mesh as meshes
from jaxmed.train.dispatch import Dispatch
from jaxmed.train.resident import Resident
from jaxmed.types import DATA_AXIS, SPACE_AXIS, Batch, Leaf

CompileMode = Literal["jit", "pmap"]

Observer = Callable[[int, Any, dict[str, jax.Array]], None]
"""Called as `observer(step, state, metrics)` after the step that led to `state.step == step`; the state is
valid only during the call, since the next step overwrites it. Where several steps are dispatched together,
all but the last of them have no state of their own: it is None for those."""

_DISPATCHES_IN_FLIGHT = 2


class Algorithm(NamedTuple):
    """Pure functions that define a training method.

    Attributes:
        init: `(key, batch) -> state`, a pytree of arrays with an int32 scalar `state.step`; the batch
            supplies shapes only.
        step: `(state, batch, key) -> (state, metrics)`: jittable, the state's shapes and dtypes kept,
            metrics a flat dict of scalars, those that are losses with "loss" in their names.
        refresh: `(state) -> state` on the host between steps, such as re-clustering, or None.
        refresh_every: steps between its calls, the first of which comes before the first step.
        volumes: which arrays of the batch have a depth. Without any, meshes that split it are refused.
    """

    init: Callable[[jax.Array, Batch], Any]
    step: Callable[[Any, Batch, jax.Array], tuple[Any, dict[str, jax.Array]]]
    refresh: Callable[[Any], Any] | None = None
    refresh_every: int = 1
    volumes: meshes.Volumes = meshes.NO_VOLUMES


def init_from_shapes(algorithm: Algorithm, key: jax.Array, example_batch: Mapping[str, Any]) -> Any:
    """The first state of an algorithm, from the shapes and dtypes of a batch alone."""
    zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in example_batch.items()}
    return algorithm.init(key, zeros)


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
        ValueError: for an unknown mode, or a space axis larger than 1 with "pmap" or without volumes.
    """
    _check_space(algorithm, mesh)
    return _compile_step(algorithm.step, mesh, mode)


def _check_space(algorithm: Algorithm, mesh: Mesh) -> None:
    if mesh.shape[SPACE_AXIS] > 1 and not algorithm.volumes.names:
        raise ValueError(
            f"mesh.space must be 1, not {mesh.shape[SPACE_AXIS]}: the algorithm names no volumes in its "
            f"batches whose depth could be split"
        )


@functools.lru_cache(maxsize=8)
def _compile_step(step: Callable, mesh: Mesh, mode: str) -> Callable:
    """What is compiled does not depend on the rest of the algorithm, such as what it refreshes with."""
    return _compile(_whole_step(step, mesh, mode), mesh)


def compile_steps(algorithm: Algorithm, mesh: Mesh, mode: str, num_steps: int) -> Callable:
    """Turns several steps of an algorithm into one function on the mesh that donates the state.

    Args:
        algorithm: whose step.
        mesh: devices, with the axes data and space.
        mode: as in `compile_step`.
        num_steps: how many.

    Returns:
        `(state, batches, key, first_step) -> (state, metrics)`, jitted: `batches` from
        `meshes.put_batches`, `key` the run's, and the metrics of each step in a tuple.

    Raises:
        ValueError: as in `compile_step`.
    """
    _check_space(algorithm, mesh)
    platform = mesh.devices.flat[0].platform
    return _compile(
        dispatch.scan_steps(_whole_step(algorithm.step, mesh, mode), num_steps, platform=platform), mesh
    )


def _compile(function: Callable, mesh: Mesh) -> Callable:
    return jax.jit(function, donate_argnums=0, out_shardings=meshes.replicated(mesh))


def _whole_step(step: Callable, mesh: Mesh, mode: str) -> Callable:
    if mode == "pmap":
        if mesh.shape[SPACE_AXIS] > 1:
            raise ValueError(
                f"compile mode 'pmap' runs one program per device: mesh.space must be 1, "
                f"not {mesh.shape[SPACE_AXIS]}"
            )
        step = _per_device(step, mesh)
    elif mode != "jit":
        raise ValueError(f"unknown compile mode '{mode}'; known: jit, pmap")
    guarded = guard.keep_finite(step)

    def whole_step(state, batch, key):
        with _splitting_depth(mesh):
            return guarded(state, meshes.crop_padding(batch), key)

    return whole_step


def _splitting_depth(mesh: Mesh) -> contextlib.AbstractContextManager:
    """Lets `collectives.split_depth` know the mesh; programs that split no depth are traced without it."""
    if mesh.shape[SPACE_AXIS] == 1:
        return contextlib.nullcontext()
    return jax.sharding.use_abstract_mesh(mesh.abstract_mesh)


def _per_device(step: Callable, mesh: Mesh) -> Callable:
    def local_step(state, batch, key):
        state, metrics = step(state, batch, key)
        return state, collectives.mean_over_devices(metrics)

    whole, by_example = PartitionSpec(), PartitionSpec(DATA_AXIS)

    def all_steps(state, batch, key):
        parts = {
            name: leaf.partition if isinstance(leaf, Resident) else by_example for name, leaf in batch.items()
        }
        # Replication is not checked: with the check, gradients of replicated parameters would be summed
        # over devices behind update_net's back.
        mapped = jax.shard_map(
            local_step, mesh=mesh, in_specs=(whole, parts, whole), out_specs=whole, check_vma=False
        )
        return mapped(state, batch, key)

    return all_steps


def fit(
    algorithm: Algorithm,
    state: Any,
    batches: Iterator[Mapping[str, Leaf]],
    *,
    key: jax.Array,
    num_steps: int,
    mesh: Mesh,
    mode: CompileMode = "jit",
    observers: Sequence[Observer] = (),
    should_stop: Callable[[int], bool] | None = None,
    skipped: guard.SkippedSteps | None = None,
    steps_per_dispatch: int = 1,
) -> Any:
    """Trains from `state.step` up to `num_steps`.

    The step with number i uses the key `fold_in(key, i)`, so that a run cut anywhere and resumed from
    its state and its place in the data gives the same arrays. A step that leads to NaN or infinity counts,
    but leaves the state as it was.

    The host runs ahead of the devices: while they work on one dispatch, the next two are waiting with their
    batches, and the batch of the third is loaded and sent; not more, since batches take up memory there.

    Args:
        algorithm: the training method.
        state: where to start; consumed (its buffers are donated to the first step).
        batches: this process's part of each batch, the first one for step `state.step`.
        key: the run's key.
        num_steps: the step at which to stop; a state that is there already comes back as it is.
        mesh: devices, with the axes data and space.
        mode: see `compile_step`.
        observers: called after every step.
        should_stop: asked after every dispatch with the number of its last step; training ends early where
            it says so. All processes must get the same answers.
        skipped: says how many steps in a row may lead to NaN or infinity; 10 by default.
        steps_per_dispatch: how many steps the devices do at a call. More than one spares the host's time
            where a step takes less than a few milliseconds, and gives the same state and metrics; their
            batches lie on the devices together. On CPUs convolutions are several times slower so. No
            dispatch goes beyond `num_steps` or a call of `algorithm.refresh`; what is left over up to there
            runs step by step.

    Returns:
        The state after `num_steps` steps, or where `should_stop` ended it; replicated on the mesh.

    Raises:
        NonFiniteError: if too many steps in a row lead to NaN or infinity.
        OutOfMemoryError: if a device has too little memory for the step.
        ValueError: if `steps_per_dispatch` is less than 1, or the mesh splits the depth of an algorithm
            without volumes.
    """
    pauses = algorithm.refresh_every if algorithm.refresh else None
    planned = dispatch.plan(int(state.step), num_steps, steps_per_dispatch, pauses)
    state, key = meshes.replicate((state, key), mesh)
    now = next(planned, None)
    if now is None:
        return state
    programs = _Programs(algorithm, mesh, mode, key)
    skipped = skipped or guard.SkippedSteps()
    in_flight: deque[dict[int, jax.Array]] = deque()
    inputs = programs.load(now, batches)
    with memory.explain_exhaustion(programs.program(now), state, *inputs):
        while now is not None:
            if algorithm.refresh and now.first % algorithm.refresh_every == 0:
                state = meshes.replicate(algorithm.refresh(state), mesh)
            state, metrics = programs.run(now, state, inputs)
            in_flight.append({step: one.pop(guard.FINITE) for step, one in metrics.items()})
            then = next(planned, None)
            if then is not None and should_stop is not None and should_stop(now.last):
                then = None
            if then is not None:
                inputs = programs.load(then, batches)
            for step, one in metrics.items():
                for observe in observers:
                    observe(step, state if step == now.last else None, one)
            # Unbounded dispatch would pile up batches in device memory.
            while len(in_flight) > (0 if then is None else _DISPATCHES_IN_FLIGHT):
                for step, finite in in_flight.popleft().items():
                    skipped.check(step, finite)
            now = then
    return state


class _Programs:
    """The compiled steps of a run, single and several at a time, and what they are called with."""

    def __init__(self, algorithm: Algorithm, mesh: Mesh, mode: str, key: jax.Array):
        self._algorithm, self._mesh, self._mode, self._key = algorithm, mesh, mode, key
        self._programs: dict[int, Callable] = {}
        self._send = meshes.Sender(mesh, algorithm.volumes)

    def program(self, now: Dispatch) -> Callable:
        """The function for as many steps."""
        if now.length not in self._programs:
            settings = self._algorithm, self._mesh, self._mode
            is_one = now.length == 1
            self._programs[now.length] = (
                compile_step(*settings) if is_one else compile_steps(*settings, now.length)
            )
        return self._programs[now.length]

    def load(self, now: Dispatch, batches: Iterator[Mapping[str, Leaf]]) -> tuple:
        """The arguments after the state: takes the next batches and sends them."""
        taken = [next(batches) for _ in now.steps]
        if now.length == 1:
            return self._send(taken, stack=False), jax.random.fold_in(self._key, now.first)
        return self._send(taken, stack=True), self._key, np.uint32(now.first)

    def run(self, now: Dispatch, state: Any, inputs: tuple) -> tuple[Any, dict[int, dict[str, jax.Array]]]:
        """Starts the steps; the metrics come by `state.step` after each."""
        state, metrics = self.program(now)(state, *inputs)
        return state, dict(zip(now.steps, metrics if now.length > 1 else (metrics,), strict=True))
