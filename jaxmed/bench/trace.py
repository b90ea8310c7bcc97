"""A recording of some training steps by JAX's profiler."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
import numpy as np

from jaxmed.train import mesh as meshes
from jaxmed.types import PyTree

_NAME = "training step"


def write_trace(
    folder: Path,
    step: Callable[[PyTree, PyTree, jax.Array], tuple[PyTree, PyTree]],
    state: PyTree,
    batches: Iterator[Mapping[str, np.ndarray]],
    key: jax.Array,
    send: meshes.Sender,
    *,
    num_steps: int = 5,
) -> None:
    """Records steps with their input, for the eye: what runs where, for how long, and what waits.

    Args:
        folder: made if need be; the recording goes to `plugins/profile/<time>` in it, for TensorBoard's
            profiler or XProf, and there as `perfetto_trace.json.gz` for https://ui.perfetto.dev.
        step: compiled.
        state: where to start; consumed.
        batches: of this process, `num_steps + 1` of which are taken.
        key: on the devices.
        send: sends batches to the devices.
        num_steps: how many steps.
    """
    batch = send([next(batches)], stack=False)
    with jax.profiler.trace(str(folder), create_perfetto_trace=True):
        for number in range(num_steps):
            with jax.profiler.StepTraceAnnotation(_NAME, step_num=number):
                state, metrics = step(state, batch, key)
                batch = send([next(batches)], stack=False)
                jax.block_until_ready(metrics)
        jax.block_until_ready(state)
