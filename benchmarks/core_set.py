"""Time greedy k-centre on a whole pool of embeddings, beside NumPy and scikit-learn, in turns in one run.

python -m benchmarks.core_set --examples 15153 --features 512 --rounds 3 --output result.json

NumPy runs the same algorithm, with one product of matrix and vector per query. scikit-learn's part is
`pairwise_distances`, the full matrix that the greedy choice would then look up, once in float32; the choice
itself is not counted.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.verbs import provenance
from jaxmed.active import core_set


def choose_with_numpy(features: np.ndarray, labelled: np.ndarray, num_queries: int) -> np.ndarray:
    """Greedy k-centre with the distances to the nearest centre, as jaxmed keeps them."""
    squares = np.einsum("ij,ij->i", features, features)
    nearest = np.full(len(features), np.inf, np.float32)
    for start in range(0, len(labelled), 256):
        centres = features[labelled[start : start + 256]]
        distances = squares[:, None] - 2 * features @ centres.T + np.einsum("ij,ij->i", centres, centres)
        nearest = np.minimum(nearest, np.maximum(distances, 0).min(axis=1))
    nearest[labelled] = -1
    chosen = np.empty(num_queries, np.int64)
    for number in range(num_queries):
        best = chosen[number] = nearest.argmax()
        distances = np.maximum(squares - 2 * features @ features[best] + squares[best], 0)
        nearest = np.where(nearest < 0, nearest, np.minimum(nearest, distances))
        nearest[best] = -1
    return chosen


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Seconds of each in turns, and bytes."""
    from sklearn.metrics import pairwise_distances

    generator = np.random.default_rng(0)
    # Clusters, as embeddings have them.
    centres = 2 * generator.standard_normal((50, arguments.features), np.float32)
    noise = generator.standard_normal((arguments.examples, arguments.features), np.float32)
    features = centres[generator.integers(50, size=arguments.examples)] + noise
    count = arguments.examples // 10
    labelled = generator.permutation(arguments.examples)[:count]
    greedy = jax.jit(core_set.greedy_k_centre, static_argnums=2)
    compiled = greedy.lower(jnp.asarray(features), jnp.asarray(labelled), count).compile()
    inputs = jnp.asarray(features), jnp.asarray(labelled)
    runs: dict[str, Callable[[], object]] = {
        "jaxmed": lambda: np.asarray(compiled(*inputs)),
        "numpy": lambda: choose_with_numpy(features, labelled, count),
        "scikit-learn, distances alone": lambda: pairwise_distances(features),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    ratios = {
        name: [other / ours for other, ours in zip(seconds[name], seconds["jaxmed"], strict=True)]
        for name in runs
        if name != "jaxmed"
    }
    same = np.mean(runs["jaxmed"]() == runs["numpy"]())  # pyright: ignore
    return {
        "examples": arguments.examples,
        "features": arguments.features,
        "queries": count,
        "rounds": arguments.rounds,
        "seconds_over_jaxmed": {name: _spread(values) for name, values in ratios.items()},
        "temporary_bytes_jaxmed": compiled.memory_analysis().temp_size_in_bytes,
        "bytes_of_distance_matrix": 4 * arguments.examples**2,
        "share_of_equal_queries": float(same),
        **provenance.describe(),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=15153)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments), indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
