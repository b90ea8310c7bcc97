"""Lloyd's iterations on random features of length 1: jaxmed beside scikit-learn, from the same centres."""

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from benchmarks.peers.work import Probe, Run
from jaxmed.ops import clustering


class _Lloyd:
    items = 1

    def __init__(self, points: int, features: int, clusters: int, iterations: int):
        generator = np.random.default_rng(0)
        # Twice as many directions as clusters, with noise as large as they are: clusters overlap, as
        # those of features in training do, and points go on moving between them.
        directions = generator.standard_normal((2 * clusters, features), np.float32)
        drawn = directions[generator.integers(2 * clusters, size=points)]
        drawn += generator.standard_normal(drawn.shape, np.float32)
        self._points = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        self._start, self._iterations = self._points[:clusters], iterations

    def parts(self, setting: str) -> Mapping[str, Run]:
        """None."""
        return {}


class ScikitLearnKMeans(_Lloyd):
    """`sklearn.cluster.KMeans`; it ends early where nothing moves, as jaxmed does."""

    settings = ("lloyd", "elkan")

    def _fit(self, algorithm: str) -> Any:
        from sklearn import cluster

        means = cluster.KMeans(
            len(self._start),
            init=self._start,
            n_init=1,
            max_iter=self._iterations,
            tol=0,
            algorithm=algorithm,
        )
        return means.fit(self._points)

    def prepare(self, setting: str) -> Run:
        """All iterations."""
        return lambda: self._fit(setting)

    def probe(self) -> Probe:
        """The sum of squared distances at the end."""
        return {"inertia": np.asarray(self._fit("lloyd").inertia_)}

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"scikit-learn": importlib.metadata.version("scikit-learn")}


class KMeans(_Lloyd):
    """`jaxmed.ops.clustering.kmeans`."""

    settings = ("kmeans",)

    def _fit(self) -> clustering.KMeans:
        return clustering.kmeans(self._points, self._start, num_iterations=self._iterations)

    def prepare(self, setting: str) -> Run:
        """All iterations, points and result on the host."""
        return self._fit

    def agreement(self, probe: Probe) -> Mapping[str, float]:
        """Of the sum of squared distances at the end."""
        return {"inertia": abs(self._fit().inertia / float(probe["inertia"]) - 1)}

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"jax": jax.__version__}
