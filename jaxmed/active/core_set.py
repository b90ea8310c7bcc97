"""Core-set selection: unlabelled examples that, with the labelled ones, cover the pool of embeddings.

The matrix of all distances is never formed: what is kept is each example's distance to its nearest centre.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxmed.active.distances import squared_distances
from jaxmed.active.selection import check_count, labelled_mask, top_n

_CENTRES_AT_A_TIME = 256


def nearest_squared_distance(
    features: Float[Array, "examples features"], centres: Int[Array, " centres"]
) -> Float[Array, " examples"]:
    """Squared Euclidean distance of every example to the nearest of the centres, 256 centres at a time.

    Args:
        features: embeddings.
        centres: positions of the centres.

    Returns:
        One value per example, infinite where there are no centres.
    """
    nearest = jnp.full(len(features), jnp.inf)
    if not len(centres):
        return nearest
    missing = -len(centres) % _CENTRES_AT_A_TIME
    # A centre more than once changes no minimum.
    blocks = jnp.concatenate([centres, jnp.repeat(centres[-1:], missing)]).reshape(-1, _CENTRES_AT_A_TIME)

    def add(nearest, block):
        return jnp.minimum(nearest, squared_distances(features, features[block]).min(axis=1)), None

    return jax.lax.scan(add, nearest, blocks)[0]


def greedy_k_centre(
    features: Float[Array, "examples features"],
    labelled: Int[Array, " labelled"],
    num_queries: int,
    weights: Float[Array, " examples"] | None = None,
) -> Int[Array, " queries"]:
    """Greedy k-centre: again and again the example that is farthest from its nearest centre.

    Centres are the labelled examples and those taken before. Without weights the largest distance of any
    example to its nearest centre is at most twice the smallest that is possible with as many centres.

    Args:
        features: embeddings of all examples.
        labelled: positions of labelled examples; where there are none, the first centre is the example of
            the largest weight, without weights example 0.
        num_queries: how many to take.
        weights: distances are multiplied by them, such as informativeness scores; not negative.

    Returns:
        Positions, in the order in which they were taken; never one twice.

    Raises:
        ValueError: see `selection.check_count`.

    Reference: Sener and Savarese, Active learning for convolutional neural networks: a core-set approach,
    2018, algorithm 1. How scores enter is our reading of Chong et al., whose text does not say.
    """
    check_count(len(features), len(labelled), num_queries)
    weights = jnp.ones(len(features)) if weights is None else weights
    squares = jnp.sum(jnp.square(features), axis=-1)
    # Without any centre all are equally far.
    nearest = jnp.minimum(nearest_squared_distance(features, labelled), jnp.finfo(jnp.float32).max)

    def take(carry, _):
        nearest, taken = carry
        chosen = jnp.argmax(jnp.where(taken, -1.0, weights * jnp.sqrt(nearest)))
        distances = jnp.maximum(squares + squares[chosen] - 2 * (features @ features[chosen]), 0)
        return (jnp.minimum(nearest, distances), taken.at[chosen].set(True)), chosen

    start = (nearest, labelled_mask(len(features), labelled))
    return jax.lax.scan(take, start, length=num_queries)[1]


def one_shot(
    features: Float[Array, "examples features"],
    labelled: Int[Array, " labelled"],
    num_queries: int,
    weights: Float[Array, " examples"],
) -> Int[Array, " queries"]:
    """The core-set of the released code: all at once the largest products of score and distance.

    The distance is that to the nearest labelled example. Queries do not know of each other, so that near
    duplicates are taken together.

    Args:
        features: as in `greedy_k_centre`.
        labelled: as in `greedy_k_centre`; at least one.
        num_queries: how many to take.
        weights: informativeness scores, not negative.

    Returns:
        Positions, the largest product first.

    Raises:
        ValueError: see `selection.check_count`; no labelled example.

    Reference: Chong et al., Evaluation of active learning techniques on medical image classification with
    unbalanced data distributions, 2021, released code.
    """
    if not len(labelled):
        raise ValueError("labelled is empty; wanted at least one example to measure distances from")
    distance = jnp.sqrt(nearest_squared_distance(features, labelled))
    return top_n(weights * distance, labelled, num_queries)
