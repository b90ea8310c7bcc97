"""A small VGG network without normalisation, the kind of classifier that two-sample tests train."""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxmed.models import layers
from jaxmed.ops import pooling

_GLOROT = nn.initializers.glorot_uniform()


class PlainVGG(nn.Module):
    """Blocks of two 3 x 3 convolutions and a maximum over 2 x 2, a dense layer, and one logit.

    Every block has twice the channels of the one before, every layer a leaky ReLU and Glorot's uniform
    initialisation. Images of 80 x 80 with 16 channels first take 703,089 parameters, with 32 first 1,991,137,
    with 64 first 6,322,881. A last row that does not fill a window is dropped.

    Reference: Tronchin et al., Evaluating GANs in Medical Imaging, section 4, after Simonyan and Zisserman,
    Very deep convolutional networks for large-scale image recognition.

    Attributes:
        num_channels: of the first block.
        num_blocks: how many.
        num_features: width of the dense layer.
        slope: of the leaky ReLU.
    """

    num_channels: int = 32
    num_blocks: int = 4
    num_features: int = 128
    slope: float = 0.2

    def setup(self) -> None:  # noqa: D102
        widths = [self.num_channels * 2**block for block in range(self.num_blocks)]
        self.conv = [
            [layers.Conv(width, kernel_init=_GLOROT, name=f"conv_{block}_{index}") for index in range(2)]
            for block, width in enumerate(widths)
        ]
        self.dense = nn.Dense(self.num_features, kernel_init=_GLOROT)
        self.logit = nn.Dense(1, kernel_init=_GLOROT)

    def features(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch features"]:
        """The dense layer's outputs after its leaky ReLU, (batch, num_features); `x` is in [0, 1]."""
        for block in self.conv:
            for conv in block:
                x = nn.leaky_relu(conv(x), self.slope)
            x = pooling.max_pool(x)
        return nn.leaky_relu(self.dense(x.reshape(x.shape[0], -1)), self.slope)

    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, " batch"]:
        """The logits, (batch,)."""
        return self.logit(self.features(x))[:, 0]
