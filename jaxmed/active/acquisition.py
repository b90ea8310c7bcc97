"""Scoring and sampling by name, as one compiled program."""

import functools
from typing import Literal

import jax
from jaxtyping import Array, Float, Int, Key

from jaxmed.active import core_set, scores, selection

Scoring = Literal["confidence", "margin", "emc"]
Sampling = Literal[
    "random",
    "top_n",
    "mixture",
    "k_nearest",
    "core_set",
    "published_top_n",
    "published_mixture",
    "one_shot",
]
"""Samplers of this package; `published_` takes the order of the released code (`selection.top_n`)."""


def score(
    scoring: Scoring,
    probabilities: Float[Array, "examples classes"],
    embeddings: Float[Array, "examples features"],
) -> Float[Array, " examples"]:
    """Informativeness by least confidence, margin or expected model change (`emc`); see `scores`."""
    if scoring == "emc":
        return scores.expected_model_change(probabilities, embeddings)
    return {"confidence": scores.least_confidence, "margin": scores.margin}[scoring](probabilities)


@functools.partial(jax.jit, static_argnames=("sampling", "scoring", "num_queries"))
def select(
    probabilities: Float[Array, "examples classes"],
    embeddings: Float[Array, "examples features"],
    labelled: Int[Array, " labelled"],
    key: Key[Array, ""],
    *,
    sampling: Sampling,
    scoring: Scoring,
    num_queries: int,
) -> Int[Array, " queries"]:
    """Scores a pool and chooses what to have labelled.

    Args:
        probabilities: of all examples of the pool, from a network in evaluation mode.
        embeddings: what the network's last layer gets.
        labelled: positions of labelled examples.
        key: of what is random.
        sampling: core-sets weight distances by the scores.
        scoring: random sampling does not look at it.
        num_queries: how many to take.

    Returns:
        New positions, each once.

    Raises:
        ValueError: see `selection.check_count`.
    """
    if sampling == "random":
        return selection.random(len(probabilities), labelled, num_queries, key)
    values = score(scoring, probabilities, embeddings)
    order = "published_code" if sampling.startswith("published_") else "paper"
    if sampling.endswith("top_n"):
        return selection.top_n(values, labelled, num_queries, order=order)
    if sampling.endswith("mixture"):
        return selection.mixture(values, labelled, num_queries, key, order=order)
    if sampling == "k_nearest":
        return selection.k_nearest(values, embeddings, labelled, num_queries)
    sampler = core_set.greedy_k_centre if sampling == "core_set" else core_set.one_shot
    return sampler(embeddings, labelled, num_queries, weights=values)
