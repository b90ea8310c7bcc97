"""What a step needs of a device's memory, said when it is too much."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax

_EXHAUSTED = "RESOURCE_EXHAUSTED"


class OutOfMemoryError(MemoryError):
    """A device has too little memory for the step; the message says how much it needs and what helps."""


@contextlib.contextmanager
def explain_exhaustion(step_fn: Callable, *arguments: Any) -> Iterator[None]:
    """Turns the error of an exhausted device, within the `with` block, into one that helps.

    Args:
        step_fn: the jitted step, or several of them, that runs in the block.
        *arguments: its arguments; only shapes and shardings are looked at, now, since it consumes the state.

    Raises:
        OutOfMemoryError: where JAX raises RESOURCE_EXHAUSTED.
    """
    layout = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None)), arguments
    )
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if _EXHAUSTED not in str(error):
            raise
        raise OutOfMemoryError(_explanation(_need(step_fn, *layout))) from error


def _explanation(need: str) -> str:
    device = jax.local_devices()[0]
    limit = (device.memory_stats() or {}).get("bytes_limit")
    has = "" if limit is None else f" of {_gib(limit)}"
    return (
        f"out of memory on {device.device_kind}{has}: {need}; use a smaller batch, recompute activations "
        f"(remat), or split volumes over more devices (mesh.space)"
    )


def _need(step_fn: Any, *layout: Any) -> str:
    try:
        memory = step_fn.lower(*layout).compile().memory_analysis()
    except jax.errors.JaxRuntimeError:
        return "the step is too large to be compiled"
    arguments = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    temporary = memory.temp_size_in_bytes
    return (
        f"a step needs about {_gib(arguments + temporary)} on each device, {_gib(arguments)} for state "
        f"and batch, {_gib(temporary)} for activations and other temporaries"
    )


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.3g} GiB"
