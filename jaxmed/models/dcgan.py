"""Convolutional generators and discriminators of images: plain ones, and ones of residual blocks.

Generators take latents, (batch, latents), and with `num_classes` also labels, (batch,), whose one-hot code is
appended to the latents. They give images in [-1, 1]. All kernels start as Glorot's uniform ones.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxmed.models import layers
from jaxmed.ops import convolution

Stages = Sequence[tuple[int, int]]
"""Features and stride of each convolution."""

_GLOROT = nn.initializers.glorot_uniform()


class Generator(nn.Module):
    """A dense layer that gives the coarsest maps, then convolutions, transposed where the stride is above 1.

    Reference: Radford et al., Unsupervised Representation Learning with Deep Convolutional Generative
    Adversarial Networks, figure 1; Mao et al., Least Squares Generative Adversarial Networks, figure 5;
    Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs, appendix A.

    Attributes:
        base_shape: height, width and features of the coarsest maps.
        stages: of the hidden convolutions.
        output_stride: of the last convolution, after which comes tanh.
        kernel_size: of all convolutions.
        slope: of the leaky ReLU; 0 makes it ReLU.
        num_classes: classes that it is told, or 0.
    """

    base_shape: tuple[int, int, int] = (5, 5, 512)
    stages: Stages = ((256, 2), (128, 2), (64, 2))
    output_stride: int = 2
    kernel_size: int = 3
    slope: float = 0.2
    num_classes: int = 0

    @nn.compact
    def __call__(
        self,
        latents: Float[Array, "batch latents"],
        labels: Int[Array, " batch"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch height width 1"]:
        """Makes the images, (batch, height, width, 1)."""
        x = nn.leaky_relu(_start(latents, labels, self.num_classes, self.base_shape), self.slope)
        for number, (features, stride) in enumerate(self.stages):
            x = nn.leaky_relu(self._conv(features, stride, f"conv_{number}")(x), self.slope)
        return jnp.tanh(self._conv(1, self.output_stride, "image")(x))

    def _conv(self, features: int, stride: int, name: str) -> nn.Module:
        options: dict[str, Any] = {"kernel_size": self.kernel_size, "kernel_init": _GLOROT, "name": name}
        if stride == 1:
            return layers.Conv(features, **options)
        return layers.ConvTranspose(features, strides=stride, **options)


class Discriminator(nn.Module):
    """Convolutions with leaky ReLU, then a dense layer; with classes, a second one for them.

    Reference: as of `Generator`.

    Attributes:
        stages: of the convolutions.
        kernel_size: of all convolutions.
        slope: of the leaky ReLU.
        num_classes: classes that it tells apart, or 0.
    """

    stages: Stages = ((64, 2), (128, 2), (256, 2), (512, 2))
    kernel_size: int = 5
    slope: float = 0.2
    num_classes: int = 0

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"], *, train: bool) -> Any:
        """The logit of being real, (batch, 1); with classes, a pair: it and their logits (batch, classes)."""
        for number, (features, stride) in enumerate(self.stages):
            conv = layers.Conv(features, self.kernel_size, stride, kernel_init=_GLOROT, name=f"conv_{number}")
            x = nn.leaky_relu(conv(x), self.slope)
        x = x.reshape(x.shape[0], -1)
        source = nn.Dense(1, kernel_init=_GLOROT, name="source")(x)
        if not self.num_classes:
            return source
        return source, nn.Dense(self.num_classes, kernel_init=_GLOROT, name="class")(x)


class ResidualGenerator(nn.Module):
    """Residual blocks that double the size, with batch normalisation.

    Reference: Gulrajani et al., Improved Training of Wasserstein GANs, appendix F.

    Attributes:
        base_shape: height, width and features of the coarsest maps.
        widths: of the blocks, one for each doubling.
        slope: of the leaky ReLU.
    """

    base_shape: tuple[int, int, int] = (5, 5, 128)
    widths: Sequence[int] = (128, 128, 128, 128)
    slope: float = 0.2

    @nn.compact
    def __call__(
        self, latents: Float[Array, "batch latents"], *, train: bool
    ) -> Float[Array, "batch height width 1"]:
        """Makes the images, (batch, height, width, 1)."""
        x = _start(latents, None, 0, self.base_shape)
        for number, width in enumerate(self.widths):
            x = self._block(x, width, number, train)
        return jnp.tanh(_conv(1, "image")(self._activate(x, "norm_image", train)))

    def _block(self, x: jax.Array, width: int, number: int, train: bool) -> jax.Array:
        # No biases: all that follows is normalised, which takes them away again.
        options: dict[str, Any] = {"use_bias": False, "kernel_init": _GLOROT}
        up = layers.UpsampleConv(width, name=f"up_{number}", **options)
        skip = layers.UpsampleConv(width, kernel_size=1, name=f"skip_{number}", **options)
        conv = layers.Conv(width, name=f"conv_{number}", **options)
        y = up(self._activate(x, f"norm_{number}_0", train))
        return skip(x) + conv(self._activate(y, f"norm_{number}_1", train))

    def _activate(self, x: jax.Array, name: str, train: bool) -> jax.Array:
        return nn.leaky_relu(layers.BatchNorm(name=name)(x, train=train), self.slope)


class ResidualCritic(nn.Module):
    """Residual blocks that halve the size, the mean over all places, a dense layer; no normalisation.

    Reference: Gulrajani et al., Improved Training of Wasserstein GANs, appendix F.

    Attributes:
        widths: of the blocks, one for each halving.
        slope: of the leaky ReLU.
    """

    widths: Sequence[int] = (128, 128, 128, 128)
    slope: float = 0.2

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch 1"]:
        """The score, (batch, 1)."""
        for number, width in enumerate(self.widths):
            # The first block sees the image, which has no features to be rectified yet.
            y = nn.leaky_relu(x, self.slope) if number else x
            y = nn.leaky_relu(_conv(width, f"conv_{number}_0")(y), self.slope)
            y = _halve(_conv(width, f"conv_{number}_1")(y))
            x = _conv(width, f"skip_{number}", kernel_size=1)(_halve(x)) + y
        x = nn.leaky_relu(x, self.slope).mean(axis=(1, 2))
        # Only differences of scores count: a bias would drift.
        return nn.Dense(1, use_bias=False, kernel_init=_GLOROT, name="score")(x)


def _start(
    latents: jax.Array, labels: jax.Array | None, num_classes: int, shape: tuple[int, int, int]
) -> jax.Array:
    """The coarsest maps, by a dense layer of the calling module."""
    if (labels is None) == bool(num_classes):
        told = "no labels" if labels is None else "labels"
        raise ValueError(f"{told} for a generator of {num_classes} classes")
    if labels is not None:
        latents = jnp.concatenate([latents, jax.nn.one_hot(labels, num_classes)], axis=1)
    height, width, features = shape
    x = nn.Dense(height * width * features, kernel_init=_GLOROT, name="start")(latents)
    return x.reshape(x.shape[0], height, width, features)


def _conv(features: int, name: str, *, kernel_size: int = 3) -> layers.Conv:
    return layers.Conv(features, kernel_size, kernel_init=_GLOROT, name=name)


def _halve(x: jax.Array) -> jax.Array:
    """Means of 2 x 2 pixels."""
    parts = convolution.space_to_depth(x)
    return parts.reshape(*parts.shape[:-1], 4, x.shape[-1]).mean(axis=-2)
