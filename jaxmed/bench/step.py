"""Time of a compiled training step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxmed.types import PyTree


@dataclass(frozen=True)
class StepTimes:
    """How long a step takes whose batch lies on the device, each step waited for.

    Attributes:
        step_ms: median.
        step_ms_p10: tenth percentile.
        step_ms_p90: ninetieth percentile.
        dispatch_ms: median time after which the call of the step returns to Python, while devices go on; the
            whole step where a backend computes within the call.
        num_steps: how many steps were timed.
    """

    step_ms: float
    step_ms_p10: float
    step_ms_p90: float
    dispatch_ms: float
    num_steps: int


@dataclass(frozen=True)
class Timings:
    """Seconds of single steps.

    Attributes:
        dispatched: after which the call of the step returned.
        finished: after which its results were there.
    """

    dispatched: tuple[float, ...]
    finished: tuple[float, ...]

    def and_later(self, others: "Timings") -> "Timings":
        """These and others."""
        return Timings(self.dispatched + others.dispatched, self.finished + others.finished)

    def summary(self) -> StepTimes:
        """Their median and spread."""
        low, median, high = 1e3 * np.percentile(self.finished, [10, 50, 90])
        return StepTimes(
            step_ms=float(median),
            step_ms_p10=float(low),
            step_ms_p90=float(high),
            dispatch_ms=1e3 * float(np.median(self.dispatched)),
            num_steps=len(self.finished),
        )


def time_step(
    step: Callable[[PyTree, PyTree, jax.Array], tuple[PyTree, PyTree]],
    state: PyTree,
    batch: PyTree,
    key: jax.Array,
    *,
    num_steps: int,
    num_warmup: int = 3,
) -> tuple[Any, Timings]:
    """Times a compiled step on one and the same batch.

    Args:
        step: `(state, batch, key) -> (state, metrics)`.
        state: where to start; consumed where the step donates it.
        batch: on the devices.
        key: on the devices.
        num_steps: steps that are timed.
        num_warmup: steps before that.

    Returns:
        The state after all steps, and the times.
    """
    dispatched, finished = [], []
    for _ in range(num_warmup + num_steps):
        begun = time.perf_counter()
        state, metrics = step(state, batch, key)
        dispatched.append(time.perf_counter() - begun)
        jax.block_until_ready((state, metrics))
        finished.append(time.perf_counter() - begun)
    return state, Timings(tuple(dispatched[num_warmup:]), tuple(finished[num_warmup:]))
