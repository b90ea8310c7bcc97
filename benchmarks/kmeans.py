"""Time k-means on the device against scikit-learn's from the same start, in alternation.

python -m benchmarks.kmeans --points 23943 --features 512 --clusters 104 --iterations 20 --output kmeans.json

Points lie on the unit sphere around random directions, as l2-normalised features do. Both run Lloyd's
algorithm for as many iterations (no tolerance), from points on the host to assignments on the host; the
inertias must agree to 1e-4. Both use all processors. The ratio is scikit-learn's time over ours.
"""

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import sklearn
from sklearn.cluster import KMeans

from experiments.verbs import provenance
from jaxmed.ops import clustering
from jaxmed.train import host


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=23_943)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--clusters", type=int, default=104)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7, help="number of pairs")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    return parser.parse_args()


def make_points(num_points: int, num_features: int, num_directions: int) -> np.ndarray:
    """Draws points of length 1 around random directions, whose clusters overlap."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((num_directions, num_features), dtype=np.float32)
    points = directions[rng.integers(num_directions, size=num_points)]
    points = points + rng.standard_normal(points.shape, dtype=np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def time_alternately(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time both, in turns first, after one run of each that is not counted."""
    points = make_points(arguments.points, arguments.features, 2 * arguments.clusters)
    start = points[: arguments.clusters].copy()

    def ours() -> tuple[float, int]:
        found = clustering.kmeans(points, start, num_iterations=arguments.iterations)
        return found.inertia, found.num_iterations

    def theirs() -> tuple[float, int]:
        options = {"n_init": 1, "max_iter": arguments.iterations, "tol": 0, "algorithm": "lloyd"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the iterations end it is wanted
            found = KMeans(arguments.clusters, init=start, **options).fit(points)
        return float(found.inertia_), int(found.n_iter_)

    methods = {"jaxmed": ours, "scikit-learn": theirs}
    results = {name: method() for name, method in methods.items()}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for repeat in range(arguments.repeats):
        for name in sorted(methods, reverse=bool(repeat % 2)):
            began = time.perf_counter()
            methods[name]()
            seconds[name].append(time.perf_counter() - began)
    return {"results": results, "seconds": seconds}


def main() -> None:
    """Measure, print and write."""
    host.tune_malloc()
    arguments = parse_arguments()
    timings = time_alternately(arguments)
    (ours, our_count), (theirs, their_count) = (
        timings["results"][name] for name in ("jaxmed", "scikit-learn")
    )
    if abs(ours - theirs) > 1e-4 * theirs or our_count != their_count:
        raise SystemExit(
            f"other results: inertia {ours} in {our_count}, scikit-learn {theirs} in {their_count}"
        )
    pairs = zip(timings["seconds"]["scikit-learn"], timings["seconds"]["jaxmed"], strict=True)
    ratios = sorted(theirs / ours for theirs, ours in pairs)
    report = {
        "points": arguments.points,
        "features": arguments.features,
        "clusters": arguments.clusters,
        "iterations": our_count,
        "inertia": {"jaxmed": ours, "scikit-learn": theirs},
        "scikit-learn over jaxmed": {
            "median": round(statistics.median(ratios), 3),
            "min": round(ratios[0], 3),
            "max": round(ratios[-1], 3),
            "pairs": len(ratios),
        },
        **provenance.describe(),
        "scikit_learn": sklearn.__version__,
        "jax_devices": len(jax.devices()),
    }
    print(json.dumps(report, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
