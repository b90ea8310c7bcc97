"""Time of the real training loop: what the host adds to a step, and how long the loop waits for input."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxmed.train import fit, guard


@dataclass(frozen=True)
class LoopTimes:
    """How long a step takes inside `fit.fit`, which sends batches and calls the step while devices compute.

    Attributes:
        loop_ms: median time per step where the next batch is there at once (the same arrays every time).
        loop_overhead_ms: how much that is above the time of the step alone: sending the batch, keys,
            bookkeeping, the algorithm's `refresh`, as far as devices wait for it. Below zero where the loop
            hides more than it adds, since it calls the next step before the last one is finished.
        input_loop_ms: mean time per step with the batches of the real pipeline.
        input_wait_fraction: share of the time of that loop that passes in `next(batches)`.
        input_slowdown: `input_loop_ms` over the mean time per step without a pipeline; what the pipeline
            costs in the end, by waiting and by the processor cores that it takes.
    """

    loop_ms: float
    loop_overhead_ms: float
    input_loop_ms: float
    input_wait_fraction: float
    input_slowdown: float


@dataclass(frozen=True)
class LoopTimings:
    """Seconds of single steps in the loop.

    Attributes:
        intervals: from each step to the next.
        waits: in each of them, those in `next(batches)`.
    """

    intervals: np.ndarray
    waits: np.ndarray


def summarise(step_ms: float, at_hand: LoopTimings, with_input: LoopTimings) -> LoopTimes:
    """Sets a loop without and one with the real input against the step alone.

    Args:
        step_ms: time of the step alone.
        at_hand: of the loop whose next batch is there at once.
        with_input: of the loop with the pipeline.

    Returns:
        The comparison.
    """
    loop_ms = 1e3 * float(np.median(at_hand.intervals))
    mean = float(np.mean(with_input.intervals))
    return LoopTimes(
        loop_ms=loop_ms,
        loop_overhead_ms=loop_ms - step_ms,
        input_loop_ms=1e3 * mean,
        input_wait_fraction=float(np.mean(with_input.waits)) / mean,
        input_slowdown=mean / float(np.mean(at_hand.intervals)),
    )


def time_loop(
    algorithm: fit.Algorithm,
    state: Any,
    batches: Iterator[Mapping[str, np.ndarray]],
    *,
    key: jax.Array,
    mesh: Mesh,
    mode: fit.CompileMode = "jit",
    num_steps: int = 30,
    num_warmup: int = 3,
    steps_per_dispatch: int = 1,
) -> tuple[Any, LoopTimings]:
    """Times the steps of `fit.fit`. Nothing is observed but the time, nothing logged or saved.

    Args:
        algorithm: what is trained.
        state: where to start; consumed.
        batches: this process's training batches, `num_warmup + num_steps + 1` of which are taken, or more
            to make whole dispatches.
        key: of the steps.
        mesh: devices.
        mode: as in `fit.fit`.
        num_steps: steps that are timed.
        num_warmup: steps before that, at least 1.
        steps_per_dispatch: as in `fit.fit`; the times are then means over the steps of a dispatch.

    Returns:
        The state after all steps, and the times.
    """
    waits: list[float] = []
    observed: list[float] = []
    num_warmup, num_steps = (-(-number // steps_per_dispatch) for number in (num_warmup, num_steps))
    total = (num_warmup + num_steps + 1) * steps_per_dispatch

    def observe(step, state, metrics):
        if state is not None:
            observed.append(time.perf_counter())

    state = fit.fit(
        algorithm,
        state,
        _timed(batches, waits),
        key=key,
        num_steps=int(state.step) + total,
        mesh=mesh,
        mode=mode,
        observers=[observe],
        # A batch that comes again and again may lead to NaN in the end, which takes the same time.
        skipped=guard.SkippedSteps(total),
        steps_per_dispatch=steps_per_dispatch,
    )
    intervals = np.diff(observed) / steps_per_dispatch
    waits_by_dispatch = np.array(waits).reshape(-1, steps_per_dispatch).mean(axis=1)
    # The loop fetches a batch before the first step, and between the call of each step but the last one and
    # its observers; so the k-th interval (from 0) holds the wait number k + 2, and the last interval none.
    return state, LoopTimings(intervals[num_warmup - 1 : -1], waits_by_dispatch[num_warmup + 1 :])


def _timed(batches: Iterator[Any], waits: list[float]) -> Iterator[Any]:
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        waits.append(time.perf_counter() - asked)
        if batch is None:
            return
        yield batch
