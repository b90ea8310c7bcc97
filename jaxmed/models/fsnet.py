"""FS-Net: one segmentation network for several data sets, coded and transformed set by set."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmed.models import layers
from jaxmed.models.attention import ChannelAttention


class FeatureSpace(nn.Module):
    """FS module (section 2.2): 1x1 convolution, then channel attention.

    Attributes:
        features: channels out.
        attention: see `ChannelAttention`.
    """

    features: int
    attention: ChannelAttention

    @nn.compact
    def __call__(self, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch *spatial features"]:
        """Applies the module to `x`, (batch, *spatial, channels), in float32, since energies are sums."""
        return self.attention(layers.Conv(self.features, 1, name="conv")(x))


class FSNet(nn.Module):
    """Channel coding and a feature space module for each data set, then one network for all of them.

    Attributes:
        zeros: channels of zeros before and behind the images of each data set: the channel coding.
        network: what all data sets share, such as a U-Net; called as `network(x, train=...)`.
        module_channels: of what the FS modules give; 0 leaves them out, and all coded images must then have
            equally many channels.
        attention: of the FS modules.

    Reference: Guo et al., FS-Net: A New Paradigm of Data Expansion for Medical Image Segmentation, DALI 2021.
    """

    zeros: Sequence[tuple[int, int]]
    network: nn.Module
    module_channels: int
    attention: ChannelAttention

    def setup(self) -> None:
        """Makes one FS module for each data set."""
        if self.module_channels:
            self.fs = [FeatureSpace(self.module_channels, self.attention.clone()) for _ in self.zeros]

    def encode(
        self, image: Float[Array, "batch *spatial channels"], number: int
    ) -> Float[Array, "batch *spatial features"]:
        """Codes the channels of an image of one data set and brings it into the common feature space."""
        widths = [(0, 0)] * (image.ndim - 1) + [self.zeros[number]]
        coded = jnp.pad(image, widths)
        return self.fs[number](coded) if self.module_channels else coded

    def __call__(
        self, images: Sequence[Float[Array, "batch *spatial _"]], *, train: bool
    ) -> Float[Array, "batch sets *spatial classes"]:
        """Computes the logits of all data sets in one pass.

        Args:
            images: of each data set, (batch, *spatial, channels), all of one size but for the channels.
            train: of the network.

        Returns:
            Logits of the joint classes.
        """
        encoded = [self.encode(image, number) for number, image in enumerate(images)]
        # Neighbours in the batch, not one set behind the other: each device keeps its own examples.
        stacked = jnp.stack(encoded, axis=1)
        logits = self.network(stacked.reshape(-1, *stacked.shape[2:]), train=train)
        return logits.reshape(*stacked.shape[:-1], logits.shape[-1])

    def segment(
        self, image: Float[Array, "batch *spatial channels"], number: int
    ) -> Float[Array, "batch *spatial classes"]:
        """Logits of the joint classes for images of one data set."""
        return self.network(self.encode(image, number), train=False)
