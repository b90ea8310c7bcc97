"""3D-StyleGAN's networks in PyTorch: StyleGAN2's operations on volumes, as the papers describe them.

The networks are those of `jaxmed.models.style_gan`, whose modules are called the same. Weights are modulated
as in training with StyleGAN2-ADA's PyTorch code: input and output are scaled, and all examples share one
convolution. Low-pass filters are separable; each axis is done as `FILTERS` says.

Reference: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, section 2 and figure 2d;
Hong et al., 3D-StyleGAN, section 2.1.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = (1.0, 3.0, 3.0, 3.0, 1.0)
NUM_MAPPING, GROUP, SLOPE, GAIN, EPSILON = 8, 4, 0.2, math.sqrt(2), 1e-8
_REACH = len(TAPS) // 2

FILTERS = ("filters as convolutions", "filters as sums")
"""Depthwise convolutions, or weighted sums of shifted volumes."""


def _leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE) * GAIN


class LowPass(nn.Module):
    """Filters every spatial axis, and may keep every other voxel; zeros beyond the borders.

    Attributes:
        form: one of `FILTERS`.
    """

    form = FILTERS[0]

    def __init__(self, stride: int = 1, gain: float = 1.0):
        super().__init__()
        self.stride = stride
        taps = torch.tensor(TAPS) * (gain / sum(TAPS))
        self.register_buffer("taps", taps, persistent=False)
        self.outer, self.inner, self.middle = taps.tolist()[: _REACH + 1]

    def forward(self, x: Tensor) -> Tensor:
        """Filters (batch, channels, depth, height, width)."""
        one_axis = self._convolve if self.form == FILTERS[0] else self._sum
        for axis in range(2, 5):
            x = one_axis(x, axis)
        return x

    def _convolve(self, x: Tensor, axis: int) -> Tensor:
        channels, shape = x.shape[1], [1, 1, 1]
        shape[axis - 2] = len(TAPS)
        kernel = self.taps.reshape(1, 1, *shape).expand(channels, 1, *shape)
        strides, pads = [1, 1, 1], [0, 0, 0]
        strides[axis - 2], pads[axis - 2] = self.stride, _REACH
        return functional.conv3d(x, kernel, stride=strides, padding=pads, groups=channels)

    def _sum(self, x: Tensor, axis: int) -> Tensor:
        pads = [0] * 6
        pads[2 * (4 - axis) : 2 * (4 - axis) + 2] = [_REACH, _REACH]
        padded, size = functional.pad(x, pads), x.shape[axis]
        index: list[slice] = [slice(None)] * 5
        parts = []
        for start in range(len(TAPS)):
            index[axis] = slice(start, start + size, self.stride)
            parts.append(padded[tuple(index)])
        y = self.outer * (parts[0] + parts[4]) + self.inner * (parts[1] + parts[3])
        return y + self.middle * parts[2]


class Dense(nn.Module):
    """Dense layer with an equalised learning rate."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.rate, self.gain = rate, rate / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, inputs) to (batch, outputs)."""
        return functional.linear(x, self.weight * self.gain, self.bias * self.rate)


class Conv(nn.Module):
    """Convolution with an equalised learning rate."""

    def __init__(self, inputs: int, outputs: int, size: int, bias: bool = True, stride: int = 1):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain, self.stride, self.padding = (inputs * size**3) ** -0.5, stride, size // 2

    def forward(self, x: Tensor) -> Tensor:
        """Convolves (batch, channels, depth, height, width)."""
        weight = self.weight * self.gain
        return functional.conv3d(x, weight, self.bias, stride=self.stride, padding=self.padding)


class Modulated(nn.Module):
    """What modulated convolutions share: a style that scales the input's channels."""

    def __init__(self, inputs: int, latent: int, weight: Sequence[int], outputs: int):
        super().__init__()
        self.style = Dense(latent, inputs)
        self.weight = nn.Parameter(torch.randn(*weight))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = (inputs * math.prod(weight[2:])) ** -0.5

    def modulate(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The scaled input, the scaled kernel, and the scales, (batch, inputs)."""
        scales = self.style(style) + 1
        return x * scales[:, :, None, None, None], self.weight * self.gain, scales


class StyledConv(Modulated):
    """Modulated convolution of 3^3, perhaps up-sampling, with noise, bias and leaky ReLU."""

    def __init__(self, width: int, latent: int, is_transposed: bool):
        super().__init__(width, latent, (width, width, 3, 3, 3), width)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.is_transposed, self.low_pass = is_transposed, LowPass(gain=2.0)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """Takes the maps, styles (batch, latent) and noise (batch, 1, ...) of the output's size."""
        x, weight, scales = self.modulate(x, style)
        squares = weight.square().sum((2, 3, 4))
        if self.is_transposed:
            y = functional.conv_transpose3d(x, weight, stride=2, padding=1, output_padding=1)
            y, squares = self.low_pass(y), squares.T
        else:
            y = functional.conv3d(x, weight, padding=1)
        norms = torch.rsqrt(scales.square() @ squares.T + EPSILON)
        y = torch.addcmul(self.noise_strength * noise, y, norms[:, :, None, None, None])
        return _leaky(y + self.bias[:, None, None, None])


class ToImage(Modulated):
    """Modulated convolution of 1^3 to one channel, not demodulated."""

    def __init__(self, width: int, latent: int):
        super().__init__(width, latent, (1, width, 1, 1, 1), 1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Takes the maps and styles (batch, latent)."""
        x, weight, _ = self.modulate(x, style)
        return functional.conv3d(x, weight, self.bias)


class Generator(nn.Module):
    """From two latents of each example to styles, mixed, and from styles and noise to volumes."""

    def __init__(self, base: Sequence[int], num_doublings: int, width: int, latent: int):
        super().__init__()
        self.num_convs = 2 * num_doublings + 1
        for number in range(NUM_MAPPING):
            self.add_module(f"mapping_{number}", Dense(latent, latent, 0.01))
        self.constant = nn.Parameter(torch.randn(*base, width))
        for number in range(self.num_convs):
            self.add_module(f"convs_{number}", StyledConv(width, latent, bool(number % 2)))
        self.image = ToImage(width, latent)

    def map(self, latents: Tensor, crossover: Tensor) -> Tensor:
        """Styles (batch, layers, latent): the second latent's from layer `crossover` on."""
        x = latents * torch.rsqrt(latents.square().mean(-1, keepdim=True) + EPSILON)
        for number in range(NUM_MAPPING):
            x = _leaky(self.get_submodule(f"mapping_{number}")(x))
        layers = torch.arange(self.num_convs + 1, device=x.device)
        is_first = (layers < crossover[:, None])[:, :, None]
        return torch.where(is_first, x[:, :1], x[:, 1:])

    def synthesise(self, styles: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Volumes, (batch, 1, depth, height, width)."""
        x = self.constant.movedim(-1, 0).expand(len(styles), -1, -1, -1, -1)
        for number in range(self.num_convs):
            x = self.get_submodule(f"convs_{number}")(x, styles[:, number], noise[number])
        return self.image(x, styles[:, -1])

    def forward(self, latents: Tensor, crossover: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Volumes from latents (batch, 2, latent)."""
        return self.synthesise(self.map(latents, crossover), noise)


class Block(Conv):
    """A convolution and this one, which halves the size, beside a filtered one of 1^3."""

    def __init__(self, width: int):
        super().__init__(width, width, 3, stride=2)
        self.conv, self.low_pass = Conv(width, width, 3), LowPass()
        self.shrink, self.skip = LowPass(stride=2), Conv(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Takes maps of even sizes."""
        y = _leaky(super().forward(self.low_pass(_leaky(self.conv(x)))))
        return (y + self.skip(self.shrink(x))) * math.sqrt(0.5)


class Discriminator(nn.Module):
    """Residual network with the deviation over groups of examples as one more channel."""

    def __init__(self, base: Sequence[int], num_doublings: int, width: int):
        super().__init__()
        self.image, self.num_blocks = Conv(1, width, 1), num_doublings
        for level in range(num_doublings):
            self.add_module(f"block_{level}", Block(width))
        self.last, self.hidden = Conv(width + 1, width, 3), Hidden(base, width)
        self.logit = Dense(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch,)."""
        x = _leaky(self.image(x))
        for level in range(self.num_blocks):
            x = self.get_submodule(f"block_{level}")(x)
        return self.logit(_leaky(self.hidden(_leaky(self.last(append_deviation(x))))))[:, 0]


class Hidden(nn.Module):
    """Dense layer over all places and channels."""

    def __init__(self, base: Sequence[int], width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width, *base))
        self.bias = nn.Parameter(torch.zeros(width))
        self.gain = (width * math.prod(base)) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        """From maps to (batch, width)."""
        return functional.linear(x.flatten(1), (self.weight * self.gain).flatten(1), self.bias)


def append_deviation(x: Tensor) -> Tensor:
    """Appends the mean over places and channels of the standard deviation over groups of neighbours."""
    size = max(number for number in range(1, GROUP + 1) if len(x) % number == 0)
    deviation = (x.reshape(-1, size, *x.shape[1:]).var(1, unbiased=False) + EPSILON).sqrt()
    means = deviation.mean((1, 2, 3, 4)).repeat_interleave(size)
    return torch.cat([x, means[:, None, None, None, None].expand(-1, 1, *x.shape[2:])], 1)
