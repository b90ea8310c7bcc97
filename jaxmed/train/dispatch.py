"""Several training steps in one call of the devices: which go together, and the program that does them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmed.train.resident import Resident


@dataclass(frozen=True)
class Dispatch:
    """Steps that the devices do at one call.

    Attributes:
        first: `state.step` before them.
        length: how many.
    """

    first: int
    length: int

    @property
    def last(self) -> int:
        """`state.step` after them."""
        return self.first + self.length

    @property
    def steps(self) -> range:
        """`state.step` after each of them."""
        return range(self.first + 1, self.last + 1)


def plan(first_step: int, num_steps: int, size: int, pauses: int | None = None) -> Iterator[Dispatch]:
    """Groups the steps of a run: `size` together wherever there are so many before the next pause.

    Args:
        first_step: `state.step` at the beginning.
        num_steps: and at the end.
        size: of a group.
        pauses: no group goes beyond a multiple of this; None for no such limit.

    Yields:
        Groups of `size` steps and single ones, in order.

    Raises:
        ValueError: if `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"steps_per_dispatch is {size}; wanted at least 1")

    def group() -> Iterator[Dispatch]:
        step = first_step
        while step < num_steps:
            end = num_steps if pauses is None else min(num_steps, (step // pauses + 1) * pauses)
            now = Dispatch(step, size if step + size <= end else 1)
            yield now
            step = now.last

    return group()


def scan_steps(step: Callable, length: int, *, platform: str) -> Callable:
    """Makes one function of several steps.

    Args:
        step: `(state, batch, key) -> (state, metrics)`.
        length: how many.
        platform: of the devices, such as "cpu".

    Returns:
        `(state, batches, key, first_step) -> (state, metrics)`: the arrays of `batches` have a first axis for
        the steps; the step with number i has the key `fold_in(key, i)`; `metrics` is a tuple of each step's.
    """
    isolate = _branch if platform == "cpu" else _barrier

    def steps(state, batches, key, first_step):
        residents = {name: leaf for name, leaf in batches.items() if isinstance(leaf, Resident)}
        streams = {name: leaf for name, leaf in batches.items() if name not in residents}

        def one(state, inputs):
            batch, number = inputs
            key_step = jax.random.fold_in(key, number)
            return isolate(step, state, {**batch, **residents}, key_step, number >= first_step)

        numbers = first_step + jnp.arange(length, dtype=jnp.uint32)
        state, metrics = lax.scan(one, state, (streams, numbers))
        return state, tuple({name: values[i] for name, values in metrics.items()} for i in range(length))

    return steps


def _barrier(step: Callable, state: Any, batch: Any, key: jax.Array, is_due: jax.Array):
    """Keeps what cuts the batch out of the stack from being fused with the step and changing its rounding."""
    state, batch, key = lax.optimization_barrier((state, batch, key))
    return lax.optimization_barrier(step(state, batch, key))


def _branch(step: Callable, state: Any, batch: Any, key: jax.Array, is_due: jax.Array):
    """Does the same on CPUs, where XLA drops barriers before it fuses, but keeps branches apart.

    Accelerators would wait for the host to choose the branch.
    """
    metrics = jax.eval_shape(step, state, batch, key)[1]

    def nothing(state, batch, key):
        return state, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)

    return lax.cond(is_due, step, nothing, state, batch, key)
