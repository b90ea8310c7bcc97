"""Moving averages of parameters."""

import optax

from jaxmed.types import PyTree


def update_average(average: PyTree, params: PyTree, decay: float) -> PyTree:
    """Moves an exponential average: decay * average + (1 - decay) * params, leaf by leaf."""
    return optax.incremental_update(params, average, 1 - decay)


def half_life_decay(half_life: float, batch_size: int) -> float:
    """Decay per step with which a contribution is halved after `half_life` examples."""
    return 0.5 ** (batch_size / half_life)
