"""A small convolutional network whose pooled features metrics compare, with a name that says what it knows.

Distances between features mean nothing without the network: a table takes the `name` of `Features` into the
metric's name ("Frechet distance on random network 0"). Three kinds: weights of a fixed seed, which tell gross
differences apart; weights trained on labels; a user's own weights.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmed.ops import tree_names


class FeatureNetwork(nn.Module):
    """Convolutions of 3^d with stride 2 and leaky ReLU, averaged over all places, then a linear head.

    Attributes:
        num_classes: logits of the head.
        widths: channels of the levels; the last one is the number of features.
    """

    num_classes: int = 2
    widths: Sequence[int] = (32, 64, 128, 256)

    def setup(self):  # noqa: D102
        self.head = nn.Dense(self.num_classes)

    @nn.compact
    def features(self, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch features"]:
        """The features, (batch, widths[-1]); `x` is 2-D or 3-D with values of order 1."""
        num_spatial = x.ndim - 2
        for level, width in enumerate(self.widths):
            x = nn.Conv(
                width,
                (3,) * num_spatial,
                strides=(2,) * num_spatial,
                kernel_init=nn.initializers.he_normal(),
                name=f"conv_{level}",
            )(x)
            x = nn.leaky_relu(x, 0.2)
        return x.mean(axis=tuple(range(1, x.ndim - 1)))

    def __call__(
        self, x: Float[Array, "batch *spatial channels"], *, train: bool
    ) -> Float[Array, "batch classes"]:
        """The logits."""
        return self.head(self.features(x))


class Features(NamedTuple):
    """A function from images to features.

    Attributes:
        name: what goes into the name of a metric.
        variables: of the network.
        apply: `(variables, images) -> (batch, features)`.
        classify: `(variables, images) -> (batch, classes)`, probabilities, or None where the network knows no
            classes.
    """

    name: str
    variables: Mapping[str, Any]
    apply: Callable[[Any, Array], Array]
    classify: Callable[[Any, Array], Array] | None


def random_features(network: FeatureNetwork, image_shape: Sequence[int], *, seed: int = 0) -> Features:
    """Features of a network with random weights, the same for the same seed.

    Args:
        network: whose features.
        image_shape: (*spatial, channels).
        seed: of the weights.
    """
    variables = network.init(jax.random.key(seed), jnp.zeros((1, *image_shape)), train=False)
    return Features(f"random network {seed}", variables, _features(network), None)


def trained_features(network: FeatureNetwork, variables: Mapping[str, Any], labels: str) -> Features:
    """Features of a network trained on labels.

    Args:
        network: whose features.
        variables: trained ones.
        labels: on which labels, such as "phantom lesion classes".
    """

    def classify(variables: Any, images: Array) -> Array:
        return jax.nn.softmax(jnp.asarray(network.apply(variables, images, train=False)))

    return Features(f"network trained on {labels}", variables, _features(network), classify)


def user_features(
    network: FeatureNetwork, image_shape: Sequence[int], arrays: Mapping[str, np.ndarray], source: str
) -> Features:
    """Features of a network with a user's weights.

    Args:
        network: whose features.
        image_shape: (*spatial, channels).
        arrays: by the names of the parameters, such as "params/conv_0/kernel"; as read from safetensors.
        source: what the weights are called.

    Raises:
        ValueError: a parameter is missing, has another shape, or there is one too many.
    """
    shapes = jax.eval_shape(
        lambda: network.init(jax.random.key(0), jnp.zeros((1, *image_shape)), train=False)
    )
    wanted = tree_names.name_leaves(shapes, separator="/")
    for name, leaf in wanted.items():
        found = arrays[name].shape if name in arrays else None
        if found != leaf.shape:
            raise ValueError(f"{source}: {name} has shape {found}; wanted {leaf.shape}")
    if extra := sorted(arrays.keys() - wanted.keys()):
        raise ValueError(f"{source}: {extra[0]} is no parameter of the network")
    leaves = [jnp.asarray(arrays[name]) for name in wanted]
    variables = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
    return trained_features(network, variables, source)._replace(name=source)


def _features(network: FeatureNetwork) -> Callable[[Any, Array], Array]:
    def apply(variables: Any, images: Array) -> Array:
        return jnp.asarray(network.apply(variables, images, method="features"))

    return apply
