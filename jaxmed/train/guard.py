"""Steps that keep the state free of NaN and infinity."""

import logging
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed.types import Leaf, PyTree

FINITE = "finite"
"""Name of the metric in which a guarded step says whether its update was taken."""

_logger = logging.getLogger(__name__)


class NonFiniteError(FloatingPointError):
    """Too many steps in a row led to NaN or infinity.

    Attributes:
        steps: their numbers; the batches are those of `steps[i] - 1`, counted from 0.
    """

    def __init__(self, steps: tuple[int, ...]):
        super().__init__(steps)
        self.steps = steps

    def __str__(self) -> str:
        first, last = self.steps[0], self.steps[-1]
        which = f"step {last}" if first == last else f"steps {first} to {last}"
        return (
            f"NaN or infinity in the loss or the new state in {which}; step {first - 1} was the last good one"
        )


def all_finite(tree: PyTree) -> jax.Array:
    """Tells, as a boolean scalar on the device, whether no leaf of `tree` holds NaN or infinity."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.all(jnp.array([jnp.isfinite(leaf).all() for leaf in leaves], bool))


def keep_finite(step: Callable) -> Callable:
    """Makes a step that leaves the state as it was, but for its number, where the update is not finite.

    Looked at are every leaf of the new state and the metrics whose name contains "loss": with a finite state
    to start from, NaN in a gradient reaches one of them. Everything happens on the device.

    Args:
        step: `(state, batch, key) -> (state, metrics)`.

    Returns:
        The same, with a further metric `FINITE`, a boolean.
    """

    def guarded(state, batch, key):
        new_state, metrics = step(state, batch, key)
        losses = {name: value for name, value in metrics.items() if "loss" in name}
        finite = all_finite((new_state, losses))

        def choose(path: Any, new: Leaf, old: Leaf) -> Leaf:
            return new if jax.tree_util.keystr(path) == ".step" else jnp.where(finite, new, old)

        kept = jax.tree_util.tree_map_with_path(choose, new_state, state)
        return kept, {**metrics, FINITE: finite}

    return guarded


class SkippedSteps:
    """Watches on the host for steps whose update was not taken."""

    def __init__(self, max_in_a_row: int = 10, *, note: Callable[[int], None] | None = None):
        """Allows `max_in_a_row` such steps one after the other, and calls `note` with the number of each."""
        self._max, self._note = max_in_a_row, note
        self._row: list[int] = []

    def check(self, step: int, finite: Leaf) -> None:
        """Looks at one step; waits for it.

        Args:
            step: the state's number after it.
            finite: its metric `FINITE`.

        Raises:
            NonFiniteError: if it is one too many in a row.
        """
        if bool(finite):
            self._row = []
            return
        self._row.append(step)
        if self._note is not None:
            self._note(step)
        if len(self._row) > self._max:
            raise NonFiniteError(tuple(self._row))
        _logger.warning("step %d skipped: NaN or infinity in the loss or the new state", step)
