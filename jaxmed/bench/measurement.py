"""One training step, measured: its start, its time alone and in the loop, its cost, its distance to ideal."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxmed.bench import arithmetic, ceilings, compilation, cost, loop, step, trace
from jaxmed.bench.arithmetic import Kind
from jaxmed.bench.ceilings import Ceilings, Roofline
from jaxmed.bench.compilation import Compilation
from jaxmed.bench.cost import Cost, Memory
from jaxmed.bench.loop import LoopTimes
from jaxmed.bench.step import StepTimes
from jaxmed.train import fit
from jaxmed.train import mesh as meshes
from jaxmed.train.resident import Resident
from jaxmed.types import PyTree


@dataclass(frozen=True)
class Measurement:
    """One training step, measured. Arithmetic, traffic and memory are those of one device.

    Attributes:
        batch_size: examples of a step, over all devices and processes.
        num_devices: over which the step is spread.
        examples_per_second: batch size over the median step time.
        compilation: the start.
        step: the step alone.
        loop: the step inside of the training loop.
        cost: arithmetic and traffic.
        memory: of the step.
        ceilings: of the device.
        roofline: the step against the ceilings.
    """

    batch_size: int
    num_devices: int
    examples_per_second: float
    compilation: Compilation
    step: StepTimes
    loop: LoopTimes
    cost: Cost
    memory: Memory
    ceilings: Ceilings
    roofline: Roofline

    def flat(self) -> dict[str, Any]:
        """All quantities by name, in one level."""
        numbers: dict[str, Any] = {}
        for name, value in dataclasses.asdict(self).items():
            numbers |= value if isinstance(value, dict) else {name: value}
        return numbers


def measure(
    algorithm: fit.Algorithm,
    batches: Iterator[Mapping[str, np.ndarray]],
    *,
    key: jax.Array,
    mesh: Mesh,
    mode: fit.CompileMode = "jit",
    num_steps: int = 30,
    num_warmup: int = 3,
    steps_per_dispatch: int = 1,
    kind: Kind | None = None,
    trace_folder: Path | None = None,
) -> Measurement:
    """Compiles the step of an algorithm, times it alone and in the loop, and sets it against the device.

    In the meantime JAX's persistent compilation cache is an empty one, and what JAX holds compiled in memory
    is forgotten. With several processes all of them call this alike, and each measures its own time.

    Args:
        algorithm: whose step.
        batches: this process's training batches; `num_steps` and a few more are taken.
        key: of the initial state and the steps.
        mesh: devices.
        mode: as in `fit.compile_step`.
        num_steps: steps that are timed, once alone and twice in the loop.
        num_warmup: steps before each of those, at least 1.
        steps_per_dispatch: as in `fit.fit`, for the loop; the step alone is always a single one.
        kind: of the matrix products that make the ceiling; that with most arithmetic in the step by default.
        trace_folder: where to record some steps with the profiler, after all measurements.

    Returns:
        What was measured.
    """
    first = next(batches)
    batch, key = meshes.put_batch(first, mesh, algorithm.volumes), meshes.replicate(key, mesh)
    state = jax.jit(_init(algorithm), out_shardings=meshes.replicated(mesh))(key, batch)
    with compilation.private_cache() as cache:
        start, traced, compiled = compilation.compile_cold_and_cached(
            lambda: fit.compile_step(algorithm, mesh, mode), (state, batch, key), cache
        )
        half = {"num_steps": -(-num_steps // 2), "num_warmup": num_warmup}
        whole = {
            "key": key,
            "mesh": mesh,
            "mode": mode,
            "num_steps": num_steps,
            "num_warmup": num_warmup,
            "steps_per_dispatch": steps_per_dispatch,
        }
        # The steps alone on both sides of the loop: a machine that grows slower does so for both.
        state, before = step.time_step(compiled, state, batch, key, **half)
        state, at_hand = loop.time_loop(algorithm, state, itertools.repeat(first), **whole)
        state, after = step.time_step(compiled, state, batch, key, **half)
        state, with_input = loop.time_loop(algorithm, state, batches, **whole)
    memory = cost.analyse_memory(compiled)
    if trace_folder is not None:
        send = meshes.Sender(mesh, algorithm.volumes)
        trace.write_trace(trace_folder, compiled, state, batches, key, send)
    del state, batch  # the ceilings need room
    needs = cost.count_cost(traced, compiled, num_devices=mesh.size)
    kind = kind or arithmetic.count_matrix_arithmetic(traced.jaxpr).main_kind
    limits = ceilings.measure_ceilings(kind, mesh.local_devices)
    times = before.and_later(after).summary()
    local = next(leaf for leaf in first.values() if not isinstance(leaf, Resident))
    batch_size = len(local) * jax.process_count()
    return Measurement(
        batch_size=batch_size,
        num_devices=mesh.size,
        examples_per_second=1e3 * batch_size / times.step_ms,
        compilation=start,
        step=times,
        loop=loop.summarise(times.step_ms, at_hand, with_input),
        cost=needs,
        memory=memory,
        ceilings=limits,
        roofline=ceilings.roofline(needs.flops, needs.bytes, times.step_ms / 1e3, limits),
    )


def _init(algorithm: fit.Algorithm) -> Callable[[jax.Array, PyTree], PyTree]:
    return lambda key, batch: algorithm.init(key, meshes.crop_padding(batch))
