"""Layers of well-known adversarial networks, for images of 80 x 80 pixels and smaller."""

import math
from dataclasses import dataclass, replace

import flax.linen as nn

from jaxmed.models import dcgan

BASE_SIZE = 5
"""Height and width of the generators' coarsest maps: 5 doubled four times is 80."""


@dataclass(frozen=True)
class Plan:
    """Networks for 80 x 80 pixels.

    Attributes:
        num_latents: size of z.
        base_width: features of the generator's coarsest maps.
        generator: features and strides of its hidden layers.
        last_stride: of its last layer.
        discriminator: features and strides.
        kernels: sizes of the kernels of both.
        slope: of the generator's leaky ReLU, 0 for ReLU; discriminators have 0.2.
        is_residual: residual blocks, with kernels of 3, instead of single convolutions.
        is_told: the generator is told classes, and the discriminator names them.
    """

    num_latents: int
    base_width: int
    generator: dcgan.Stages
    last_stride: int
    discriminator: dcgan.Stages
    kernels: tuple[int, int]
    slope: float = 0.2
    is_residual: bool = False
    is_told: bool = False

    def reduce(self, size: int, width_divisor: int) -> "Plan":
        """The plan for smaller and narrower images.

        The generator loses leading layers, the discriminator trailing ones.

        Args:
            size: height and width, 5 times a power of 2, at most 80.
            width_divisor: of all features, of which 4 are left at least.

        Raises:
            ValueError: for another size.
        """
        doublings = size / BASE_SIZE
        if size > 80 or doublings < 2 or not math.log2(doublings).is_integer():
            raise ValueError(f"size: {size} pixels; wanted 10, 20, 40 or 80")
        generator, discriminator = list(self.generator), list(self.discriminator)
        while self.last_stride * math.prod(stride for _, stride in generator) > doublings:
            generator.pop(0)
        while math.prod(stride for _, stride in discriminator) > doublings:
            discriminator.pop()

        def narrow(stages: dcgan.Stages) -> dcgan.Stages:
            return tuple((max(width // width_divisor, 4), stride) for width, stride in stages)

        (base_width, _), *_ = narrow([(self.base_width, 1)])
        return replace(
            self, base_width=base_width, generator=narrow(generator), discriminator=narrow(discriminator)
        )

    def make_generator(self, num_classes: int) -> nn.Module:
        """The generator."""
        base = (BASE_SIZE, BASE_SIZE, self.base_width)
        if self.is_residual:
            return dcgan.ResidualGenerator(base, tuple(width for width, _ in self.generator), self.slope)
        told = num_classes if self.is_told else 0
        return dcgan.Generator(base, self.generator, self.last_stride, self.kernels[0], self.slope, told)

    def make_discriminator(self, num_classes: int) -> nn.Module:
        """The discriminator."""
        if self.is_residual:
            return dcgan.ResidualCritic(tuple(width for width, _ in self.discriminator))
        told = num_classes if self.is_told else 0
        return dcgan.Discriminator(self.discriminator, self.kernels[1], num_classes=told)


_HALVINGS = ((64, 2), (128, 2), (256, 2), (512, 2))

DCGAN = Plan(100, 512, ((256, 2), (128, 2), (64, 2)), 2, _HALVINGS, (3, 5))
"""Radford et al., Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks, figure 1, with half the features, and kernels of 3."""

LSGAN = Plan(
    1024, 256, ((256, 2), (256, 1), (256, 2), (256, 1), (128, 2), (64, 2)), 1, _HALVINGS, (3, 5), slope=0.0
)
"""Mao et al., Least Squares Generative Adversarial Networks, figure 5, from 5 x 5 instead of 7 x 7."""

WGAN_GP = Plan(128, 128, ((128, 2),) * 4, 1, ((128, 2),) * 4, (3, 3), is_residual=True)
"""Gulrajani et al., Improved Training of Wasserstein GANs, appendix F, with one more block."""

AC_GAN = Plan(
    110,
    768,
    ((384, 2), (256, 2), (192, 2)),
    2,
    ((16, 2), (32, 1), (64, 2), (128, 1), (256, 2), (512, 1)),
    (5, 3),
    slope=0.0,
    is_told=True,
)
"""Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs, appendix A, without batch
normalisation and dropout."""
