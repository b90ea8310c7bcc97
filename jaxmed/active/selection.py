"""Which unlabelled examples to have labelled, by scores, by chance, or near uncertain labelled ones.

Every function is pure and jittable with a static number of queries. The pool has a fixed number of examples;
`labelled` lists the positions of those whose labels are known. What comes back are that many new positions,
each once.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxmed.active.distances import squared_distances

Order = Literal["paper", "published_code"]


def labelled_mask(num_examples: int, labelled: Int[Array, " labelled"]) -> Bool[Array, " examples"]:
    """Marks the labelled examples of a pool."""
    return jnp.zeros(num_examples, bool).at[labelled].set(True)


def check_count(num_examples: int, num_labelled: int, num_queries: int) -> None:
    """Refuses more queries than there are unlabelled examples.

    Raises:
        ValueError: otherwise.
    """
    rest = num_examples - num_labelled
    if not 0 < num_queries <= rest:
        raise ValueError(f"num_queries is {num_queries}; wanted 1 to {rest}, the unlabelled examples")


def top_n(
    scores: Float[Array, " examples"],
    labelled: Int[Array, " labelled"],
    num_queries: int,
    *,
    order: Order = "paper",
) -> Int[Array, " queries"]:
    """Takes the examples of the highest scores.

    Args:
        scores: informativeness; those of labelled examples are not looked at.
        labelled: positions of labelled examples.
        num_queries: how many to take.
        order: "paper" takes the highest scores, as the text says; "published_code" the lowest ones, as the
            last commit of the released code does since its scores became uncertainties: the examples of
            which the network is surest.

    Returns:
        Positions, the best first.

    Raises:
        ValueError: see `check_count`.
    """
    check_count(len(scores), len(labelled), num_queries)
    signed = scores if order == "paper" else -scores
    masked = jnp.where(labelled_mask(len(scores), labelled), -jnp.inf, signed)
    return jax.lax.top_k(masked, num_queries)[1]


def random(
    num_examples: int, labelled: Int[Array, " labelled"], num_queries: int, key: Key[Array, ""]
) -> Int[Array, " queries"]:
    """Takes unlabelled examples uniformly, without replacement.

    Raises:
        ValueError: see `check_count`.
    """
    return top_n(jax.random.uniform(key, (num_examples,)), labelled, num_queries)


def mixture(
    scores: Float[Array, " examples"],
    labelled: Int[Array, " labelled"],
    num_queries: int,
    key: Key[Array, ""],
    *,
    random_fraction: float = 0.2,
    order: Order = "paper",
) -> Int[Array, " queries"]:
    """Takes most queries by `top_n` and the rest at random from what that left.

    Args:
        scores: as in `top_n`.
        labelled: as in `top_n`.
        num_queries: how many to take.
        key: of the random part.
        random_fraction: of the queries, rounded to a whole number; 0.2 as in the released code (the text has
            no ratio).
        order: as in `top_n`.

    Returns:
        Positions, those of `top_n` first.

    Raises:
        ValueError: see `check_count`.
    """
    check_count(len(scores), len(labelled), num_queries)
    num_random = round(random_fraction * num_queries)
    parts = []
    known = labelled
    if num_queries > num_random:
        parts.append(top_n(scores, labelled, num_queries - num_random, order=order))
        known = jnp.concatenate([labelled, parts[0]])
    if num_random:
        parts.append(random(len(scores), known, num_random, key))
    return jnp.concatenate(parts)


def k_nearest(
    scores: Float[Array, " examples"],
    features: Float[Array, "examples features"],
    labelled: Int[Array, " labelled"],
    num_queries: int,
    *,
    num_neighbours: int = 15,
) -> Int[Array, " queries"]:
    """Takes the nearest unlabelled neighbours of the most uncertain labelled examples.

    The labelled examples are visited from the highest score down; each brings its `num_neighbours` nearest
    unlabelled examples that no one has brought before, until there are enough. If all have been visited, the
    round begins anew.

    Args:
        scores: informativeness of all examples, the labelled ones too.
        features: embeddings of all examples.
        labelled: as in `top_n`; at least one.
        num_queries: how many to take.
        num_neighbours: of each labelled example; 15 as in the released code.

    Returns:
        Positions, in the order in which they were brought.

    Raises:
        ValueError: see `check_count`; no labelled example.
    """
    check_count(len(scores), len(labelled), num_queries)
    if not len(labelled):
        raise ValueError("labelled is empty; wanted at least one example to start from")
    num_neighbours = min(num_neighbours, len(scores))
    num_visits = -(-num_queries // num_neighbours)
    by_score = labelled[jnp.argsort(-scores[labelled])]
    visited = by_score[jnp.arange(num_visits) % len(labelled)]

    def visit(taken, seed):
        distances = squared_distances(features, features[seed][None])[:, 0]
        _, nearest = jax.lax.top_k(-jnp.where(taken, jnp.inf, distances), num_neighbours)
        return taken.at[nearest].set(True), nearest

    # The last visit may find fewer unlabelled examples than it asks for; what it brings too much is cut off.
    _, found = jax.lax.scan(visit, labelled_mask(len(scores), labelled), visited)
    return found.reshape(-1)[:num_queries]
