"""What training recipes put around an optax optimizer: schedules, clipping, accumulation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxmed.types import PyTree


def warmup_cosine(peak: float, num_steps: int, warmup_steps: int = 0) -> optax.Schedule:
    """Linear warm-up from 0 to `peak`, then half a cosine down to 0 at `num_steps`.

    Raises:
        ValueError: if the warm-up is not shorter than the whole.
    """
    if not 0 <= warmup_steps < num_steps:
        raise ValueError(f"warmup_steps={warmup_steps} must lie in [0, num_steps={num_steps})")
    return optax.warmup_cosine_decay_schedule(0.0 if warmup_steps else peak, peak, warmup_steps, num_steps)


def clip(optimizer: optax.GradientTransformation, max_norm: float) -> optax.GradientTransformation:
    """Scales gradients of a global norm above `max_norm` down to it before `optimizer` sees them."""
    return optax.chain(optax.clip_by_global_norm(max_norm), optimizer)


class Accumulated(NamedTuple):
    """State of `accumulate`.

    Attributes:
        count: batches in the sum, an int32 scalar.
        total: sum of their gradients, in the dtypes of the parameters.
        inner: state of the optimizer.
    """

    count: jax.Array
    total: PyTree
    inner: PyTree


def accumulate(optimizer: optax.GradientTransformation, num_batches: int) -> optax.GradientTransformation:
    """Updates once every `num_batches` steps, with the mean gradient of those steps.

    For losses that are means over batches of one size, and networks without statistics of the batch, that is
    the update of one large batch, with the activations of a small one in memory. Schedules inside of
    `optimizer` count updates, not steps. A step that the guard leaves out is not in the mean; the next one
    takes its place.

    Every step computes the update and most discard it: a branch would keep an accelerator waiting for the
    host. `optax.MultiSteps` does the same with float32 sums whatever the parameters are.

    Raises:
        ValueError: if `num_batches` is less than 1.
    """
    if num_batches < 1:
        raise ValueError(f"num_batches={num_batches} must be at least 1")
    if num_batches == 1:
        return optimizer

    def init(params):
        return Accumulated(
            jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params), optimizer.init(params)
        )

    def update(updates, state, params=None):
        total = jax.tree.map(jnp.add, state.total, updates)
        mean = jax.tree.map(lambda x: x / num_batches, total)
        updates, inner = optimizer.update(mean, state.inner, params)
        is_last = state.count == num_batches - 1

        def choose(if_last, otherwise):
            return jax.tree.map(lambda a, b: jnp.where(is_last, a, b), if_last, otherwise)

        zeros = jax.tree.map(jnp.zeros_like, total)
        state = Accumulated(
            count=(state.count + 1) % num_batches,
            total=choose(zeros, total),
            inner=choose(inner, state.inner),
        )
        return choose(updates, jax.tree.map(jnp.zeros_like, updates)), state

    return optax.GradientTransformation(init, update)
