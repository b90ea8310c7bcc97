"""Time and cost of a training step: compilation, step time, arithmetic, bytes, memory, waiting for input."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxmed.train import fit
from jaxmed.train import mesh as meshes


@dataclass(frozen=True)
class StepCost:
    """What one training step costs.

    Attributes:
        trace_seconds: time to trace and lower the step.
        compile_seconds: time to compile it (short where the compilation cache has it).
        step_ms: median time of a step whose batch lies on the device.
        step_ms_p10: tenth percentile.
        step_ms_p90: ninetieth percentile.
        examples_per_second: batch size over the median step time.
        flops: floating-point operations of the compiled step, as XLA counts them.
        bytes: bytes that its operations read and write, as XLA counts them.
        peak_memory_bytes: arguments, outputs and temporaries of the compiled step on one device.
        input_wait_fraction: share of the training loop's time that is spent on `next(batches)`.
        num_steps: how many steps were timed.
    """

    trace_seconds: float
    compile_seconds: float
    step_ms: float
    step_ms_p10: float
    step_ms_p90: float
    examples_per_second: float
    flops: float
    bytes: float
    peak_memory_bytes: int
    input_wait_fraction: float
    num_steps: int


def measure_step(
    algorithm: fit.Algorithm,
    batches: Iterator[Mapping[str, np.ndarray]],
    *,
    key: jax.Array,
    mesh: Mesh,
    mode: fit.CompileMode = "jit",
    num_steps: int = 30,
    num_warmup: int = 3,
) -> StepCost:
    """Compiles the step of an algorithm and times it.

    Args:
        algorithm: whose step.
        batches: this process's training batches; `2 * num_steps` or so are taken.
        key: of the initial state and the steps.
        mesh: devices.
        mode: as in `fit.compile_step`.
        num_steps: steps that are timed, each waited for.
        num_warmup: steps before that.

    Returns:
        The cost.
    """
    first = next(batches)
    batch = meshes.put_batch(first, mesh)
    key = meshes.replicate(key, mesh)
    state = jax.jit(algorithm.init, out_shardings=meshes.replicated(mesh))(key, batch)
    begun = time.perf_counter()
    lowered = fit.compile_step(algorithm, mesh, mode).lower(state, batch, key)
    traced = time.perf_counter()
    step = lowered.compile()
    compiled = time.perf_counter()
    state, _ = _time_steps(step, state, batch, key, num_warmup)
    state, seconds = _time_steps(step, state, batch, key, num_steps)
    waiting = _input_wait(step, state, batches, key, mesh, num_steps)
    batch_size = len(next(iter(first.values()))) * jax.process_count()
    low, median, high = np.percentile(seconds, [10, 50, 90])
    flops, num_bytes = _counts(step)
    return StepCost(
        trace_seconds=traced - begun,
        compile_seconds=compiled - traced,
        step_ms=1e3 * float(median),
        step_ms_p10=1e3 * float(low),
        step_ms_p90=1e3 * float(high),
        examples_per_second=batch_size / float(median),
        flops=flops,
        bytes=num_bytes,
        peak_memory_bytes=_peak_memory(step),
        input_wait_fraction=waiting,
        num_steps=num_steps,
    )


def _time_steps(
    step: Callable, state: Any, batch: Any, key: jax.Array, count: int
) -> tuple[Any, list[float]]:
    seconds = []
    for _ in range(count):
        begun = time.perf_counter()
        state, metrics = step(state, batch, key)
        jax.block_until_ready((state, metrics))
        seconds.append(time.perf_counter() - begun)
    return state, seconds


def _input_wait(
    step: Callable, state: Any, batches: Iterator, key: jax.Array, mesh: Mesh, count: int
) -> float:
    """Share of the time of a loop like `fit`'s that passes in `next(batches)`."""
    waited = 0.0
    batch = meshes.put_batch(next(batches), mesh)
    begun = time.perf_counter()
    for _ in range(count):
        state, metrics = step(state, batch, key)
        asked = time.perf_counter()
        arrays = next(batches)
        waited += time.perf_counter() - asked
        batch = meshes.put_batch(arrays, mesh)
        jax.block_until_ready(metrics)
    return waited / (time.perf_counter() - begun)


def _counts(step: Any) -> tuple[float, float]:
    cost = step.cost_analysis() or {}
    return float(cost.get("flops", float("nan"))), float(cost.get("bytes accessed", float("nan")))


def _peak_memory(step: Any) -> int:
    memory = step.memory_analysis()
    parts = (
        memory.argument_size_in_bytes,
        memory.output_size_in_bytes,
        memory.temp_size_in_bytes,
        -memory.alias_size_in_bytes,
    )
    return int(sum(parts))
