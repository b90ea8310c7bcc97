"""Deep clustering: a network trained on the clusters of its own features, which are found anew each epoch."""

import dataclasses
import functools
from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from experiments.contract import Data
from experiments.deepmcat.config import Config
from experiments.deepmcat.data import ImageSet
from jaxmed.augment import affine, intensity
from jaxmed.infer.spread import find_mesh
from jaxmed.infer.streamed import Streamed
from jaxmed.metrics import clustering as agreement
from jaxmed.models.vgg import VGG
from jaxmed.ops import clustering
from jaxmed.ops.example_keys import example_keys
from jaxmed.ops.group_sampling import draw_over_groups
from jaxmed.train import net
from jaxmed.train.fit import Algorithm
from jaxmed.types import Leaf

MEASURES = ("loss", "nmi previous", "nmi labels", "purity", "clusters")
"""Columns of the history: the mean loss of the epoch before a clustering, its agreement with the one before
and with the labels, its purity, and its clusters that are not empty. What is unknown stays 0."""


_HEAD_STD = 0.01
"""Of the kernel of a last layer that starts anew, as in DeepCluster, for layers of any width: logits near 0
send no noise into what was learned before."""


@struct.dataclass
class ClusterState:
    """A network and the clusters that it is trained on.

    Attributes:
        step: number of updates so far.
        net: the network; the last layer is that of the present clusters.
        assignments: (images,) what the network learns to tell of each image: its cluster, or its label.
        loss_sum: sum of the losses since the last clustering.
        history: (epochs, measures) what each clustering gave.
        refresh_seed: of the next clustering.
    """

    step: Leaf
    net: net.NetState
    assignments: Leaf
    loss_sum: Leaf
    history: Leaf
    refresh_seed: Leaf


def make_model(config: Config) -> VGG:
    """The VGG network (134,689,704 parameters with the paper's sizes and 104 clusters)."""
    return VGG(
        config.num_clusters,
        stages=config.stages,
        hidden=config.hidden,
        pooled_size=config.pooled_size,
        dropout=config.dropout,
        dense_std=config.dense_std,
        dtype=jnp.dtype(config.dtype),
    )


def make_algorithm(config: Config, data: Data | None) -> Algorithm:
    """Training on pseudo-labels with SGD; `refresh` clusters all images and starts the last layer anew."""
    model, optimizer = make_model(config), make_optimizer(config)

    def loss_fn(params, batch_stats, inputs, labels, weights, key):
        logits, batch_stats = net.apply_train(model, params, batch_stats, inputs, rngs={"dropout": key})
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return (losses * weights).mean(), (batch_stats, (logits.argmax(-1) == labels).mean())

    def init(key, batch):
        key_net, key_seed = jax.random.split(key)
        inputs = jnp.zeros((1, config.image_size, config.image_size, 1))
        return ClusterState(
            step=jnp.zeros((), jnp.int32),
            net=net.init_net(model, optimizer, key_net, inputs),
            assignments=jnp.zeros(config.num_images, jnp.int32),
            loss_sum=jnp.zeros(()),
            history=jnp.zeros((max(config.num_epochs, 1), len(MEASURES))),
            refresh_seed=jax.random.bits(key_seed),
        )

    def step(state, batch, key):
        key_draw, key_augment, key_dropout = jax.random.split(key, 3)
        images, labels, weights = _draw_batch(config, state.assignments, batch, key_draw)
        draw = draw_augmentation(config, key_augment, len(images))
        new_net, loss, accuracy = net.update_net(
            state.net, optimizer, loss_fn, prepare(images, draw), labels, weights, key_dropout
        )
        state = dataclasses.replace(state, step=state.step + 1, net=new_net, loss_sum=state.loss_sum + loss)
        return state, {"loss": loss, "accuracy": accuracy}

    def refresh(state):
        if data is None:
            raise ValueError("the algorithm was made without data to cluster")
        return _refresh(config, data.evaluation, state)

    return Algorithm(init, step, refresh, config.steps_per_epoch)


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """SGD with weight decay, and momentum for all but the last layer."""

    def sgd(momentum: float | None) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(config.weight_decay), optax.sgd(config.learning_rate, momentum)
        )

    parts: dict[Hashable, Any] = {"trunk": sgd(config.momentum), "head": sgd(None)}
    return optax.multi_transform(parts, {"trunk": "trunk", "head": "head"})


def draw_augmentation(config: Config, key: jax.Array, count: int) -> affine.AffineDraw:
    """Rotation and resized crop of `count` images, the same kind in training and in clustering."""
    return affine.draw_rotated_crop(key, count, max_degrees=config.max_degrees, area=config.crop_area)


def prepare(images: jax.Array, draw: affine.AffineDraw | None = None) -> jax.Array:
    """Augments images (batch, height, width) and z-scores each of them: (batch, height, width, 1)."""
    images = images.astype(jnp.float32)
    if draw is not None:
        images = affine.apply_affine(images, draw)
    return intensity.standardise(images)[..., None]


def cluster_features(
    config: Config, variables: Any, images: np.ndarray, key: jax.Array, *, is_augmented: bool = True
) -> np.ndarray:
    """Clusters all images by the network's features, under random augmentation or as they are; int32."""
    key_draw, key_start = jax.random.split(key)
    none = affine.draw_affine(key_draw, len(images))
    draw = draw_augmentation(config, key_draw, len(images)) if is_augmented else none
    examples = {"image": images, "linear": np.asarray(draw.linear), "shift": np.asarray(draw.shift)}
    model: Any = make_model(config)
    features = _make_features(model, config.batch_size)
    return cluster_points(config, features(variables, examples), variables, key_start)


@functools.lru_cache(maxsize=8)
def _make_features(model: VGG, batch_size: int) -> Streamed:
    """Features of images, each augmented as drawn, as unit vectors; compiled once for each network."""

    def features(variables, batch):
        draw = affine.AffineDraw(batch["linear"], batch["shift"])
        outputs: Any = model.apply(variables, prepare(batch["image"], draw), train=False, method=VGG.features)
        return clustering.unit_rows(outputs)

    return Streamed(features, batch_size)


def cluster_points(config: Config, points: np.ndarray, variables: Any, key: jax.Array) -> np.ndarray:
    """k-means on the mesh where `variables` lie; (points,) int32."""
    options = {"num_iterations": config.kmeans_iterations, "mesh": find_mesh(variables)}
    return clustering.find_clusters(key, points, config.num_clusters, **options).assignments


def _draw_batch(config: Config, assignments: jax.Array, batch: Any, key: jax.Array):
    """Images with their pseudo-labels and weights, so that every cluster counts alike."""
    if config.sampling == "uniform":
        keys = example_keys(key, len(batch["index"]))
        index = draw_over_groups(keys, assignments, config.num_clusters)
        return batch["image"].take(index), assignments[index], jnp.ones(len(index))
    counts = jnp.bincount(assignments, length=config.num_clusters)
    labels = assignments[batch["index"]]
    fair_size = config.num_images / jnp.count_nonzero(counts)
    return batch["image"], labels, fair_size / counts[labels]


def _refresh(config: Config, images: ImageSet, state: ClusterState) -> ClusterState:
    """Clusters all images by their features and starts the last layer anew (section 3 of the paper).

    Where labels are learned, they are the targets, the last layer goes on, and clusters are only measured.
    """
    step = int(state.step)
    key_clusters, key_head, key_seed = jax.random.split(jax.random.key(np.uint32(state.refresh_seed)), 3)
    found = cluster_features(config, state.net.variables, images.images, key_clusters)
    epoch = step // config.steps_per_epoch
    history = np.array(state.history)
    if epoch < len(history):
        history[epoch] = _measure(np.asarray(state.assignments), found, images, step)
        history[epoch, 0] = float(state.loss_sum) / config.steps_per_epoch
    learns_labels = config.targets == "labels"
    net_state = state.net if learns_labels else _with_new_head(state.net, key_head)
    return dataclasses.replace(
        state,
        net=net_state,
        assignments=jnp.asarray(_labels(config, images) if learns_labels else found),
        loss_sum=jnp.zeros(()),
        history=jnp.asarray(history),
        refresh_seed=jax.random.bits(key_seed),
    )


def _with_new_head(state: net.NetState, key: jax.Array) -> net.NetState:
    head = state.params["head"]
    kernel = _HEAD_STD * jax.random.normal(key, head["kernel"].shape, head["kernel"].dtype)
    new_head = {"kernel": kernel, "bias": jnp.zeros_like(head["bias"])}
    return dataclasses.replace(state, params={**state.params, "head": new_head})


def _labels(config: Config, images: ImageSet) -> np.ndarray:
    if images.labels is None:
        raise ValueError("targets is 'labels'; the images have none")
    if images.labels.max() >= config.num_clusters:
        raise ValueError(f"{images.labels.max() + 1} labels; wanted at most {config.num_clusters} of outputs")
    return images.labels.astype(np.int32)


def _measure(before: np.ndarray, now: np.ndarray, images: ImageSet, step: int) -> tuple[float, ...]:
    previous = agreement.normalised_mutual_information(now, before) if step else 0.0
    labels = purity = 0.0
    if images.labels is not None:
        labels = agreement.normalised_mutual_information(now, images.labels)
        purity = agreement.purity(now, images.labels)
    return 0.0, previous, labels, purity, float(len(np.unique(now)))
