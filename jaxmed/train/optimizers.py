"""What training recipes put around an optax optimizer: schedules, clipping, accumulation."""

import optax


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


def accumulate(optimizer: optax.GradientTransformation, num_batches: int) -> optax.GradientTransformation:
    """Updates once every `num_batches` steps, with the mean gradient of those steps."""
    if num_batches < 1:
        raise ValueError(f"num_batches={num_batches} must be at least 1")
    if num_batches == 1:
        return optimizer
    return optax.MultiSteps(optimizer, num_batches).gradient_transformation()
