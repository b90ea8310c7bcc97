"""What the clusters of a run are worth: agreement with labels and between clusterings."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.contract import Data, Inference, Scores
from experiments.deepmcat.algorithm import (
    ClusterState,
    cluster_features,
    cluster_points,
    make_model,
    prepare,
)
from experiments.deepmcat.config import Config
from experiments.deepmcat.data import ImageSet
from jaxmed.metrics import clustering as agreement
from jaxmed.ops import clustering
from jaxmed.ops.principal_components import principal_components

_COMPONENTS = 256
"""As many as DeepCluster keeps of its features."""


def evaluate(config: Config, state: ClusterState, data: Data) -> Scores:
    """Scores the clusters of the final features.

    Returns:
        "nmi previous", against the clusters that the last epoch was trained on (where it was trained on none:
        a second clustering with other draws), and its ceiling; "nmi labels" and its ceiling for clusters of
        these sizes; "purity", and "purity by chance" of clusters of the same sizes; "purity unaugmented" of
        clusters of the images as they are, which pixels are compared with; "ami labels" and "ari labels",
        adjusted for chance; "clusters", those that are not empty. NaN without labels.
    """
    images: ImageSet = data.evaluation
    now = cluster_images(config, state, images, jax.random.key(0))
    trained = config.features == "network" and config.targets == "clusters" and int(state.step) > 0
    previous = (
        np.asarray(state.assignments) if trained else cluster_images(config, state, images, jax.random.key(1))
    )
    scores = {
        "nmi previous": agreement.normalised_mutual_information(now, previous),
        "nmi previous ceiling": agreement.normalised_mutual_information_ceiling(now, previous),
        "clusters": float(len(np.unique(now))),
    }
    plain = cluster_images(config, state, images, jax.random.key(0), is_augmented=False)
    unaugmented = agreement.compare_with_labels(plain, images.labels)["purity"]
    scores |= agreement.compare_with_labels(now, images.labels) | {"purity unaugmented": unaugmented}
    return {name: {"all": value} for name, value in scores.items()}


def cluster_images(
    config: Config, state: ClusterState, images: ImageSet, key: jax.Array, *, is_augmented: bool = True
) -> np.ndarray:
    """Clusters all images by what the config says; (images,) int32.

    Pixels and components are those of z-scored images without augmentation, which would only harm them.
    """
    variables = state.net.variables
    if config.features == "network":
        return cluster_features(config, variables, images.images, key, is_augmented=is_augmented)
    parts = np.array_split(images.images, -(-len(images.images) // 1024))
    points = np.concatenate([_pixels(part) for part in parts])
    if config.features == "pca":
        points = principal_components(points, _COMPONENTS)
    return cluster_points(config, np.asarray(clustering.unit_rows(jnp.asarray(points))), variables, key)


def _pixels(images: np.ndarray) -> np.ndarray:
    return np.asarray(prepare(jnp.asarray(images))).reshape(len(images), -1)


def make_inference(config: Config, state: ClusterState) -> Inference:
    """The trained network as a function of images to the probabilities of the clusters of its last epoch."""
    model = make_model(config)

    def probabilities(variables, images):
        logits: Any = model.apply(variables, prepare(images), train=False)
        return jax.nn.softmax(logits)

    return Inference(
        function=probabilities,
        variables=state.net.variables,
        input_shape=("batch", config.image_size, config.image_size),
        input_dtype="uint8",
        inputs="grey images of 8 bits, scaled to their own range",
        outputs="probability of each cluster of the last epoch",
    )
