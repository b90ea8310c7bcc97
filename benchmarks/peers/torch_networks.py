"""Networks of segmentation in plain PyTorch, the modules called as in `jaxmed.models`."""

import torch
from torch import Tensor, nn

_CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOLS = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_NORMS = {
    ("batch", 2): nn.BatchNorm2d,
    ("batch", 3): nn.BatchNorm3d,
    ("instance", 2): nn.InstanceNorm2d,
    ("instance", 3): nn.InstanceNorm3d,
}


class ConvLevel(nn.Module):
    """Two 3^d convolutions, each followed by a norm and an activation."""

    def __init__(self, dims: int, inputs: int, outputs: int, norm: str, stride: int, plan: str):
        super().__init__()
        for index in range(2):
            conv = _CONVOLUTIONS[dims](
                outputs if index else inputs,
                outputs,
                3,
                padding=1,
                stride=1 if index else stride,
                bias=plan == "nnunet",
            )
            self.add_module(f"conv_{index}", conv)
            self.add_module(f"norm_{index}", _NORMS[norm, dims](outputs, affine=True))
        self.activation = nn.LeakyReLU(0.01) if plan == "nnunet" else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Applies the level."""
        x = self.activation(self.norm_0(self.conv_0(x)))
        return self.activation(self.norm_1(self.conv_1(x)))


class UpLevel(ConvLevel):
    """A transposed convolution with the window and stride of 2, the skip beside it, and the convolutions."""

    def __init__(self, dims: int, coarse: int, width: int, norm: str, plan: str):
        super().__init__(dims, 2 * width, width, norm, 1, plan)
        self.upsample = _TRANSPOSED[dims](coarse, width, 2, stride=2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Applies the level."""
        return super().forward(torch.cat([skip, self.upsample(x)], dim=1))


class UNet(nn.Module):
    """U-Net: "classic" with max-pooling, or by the "nnunet" plan with strides, biases and leaky ReLU."""

    def __init__(self, dims: int, widths: tuple[int, ...], norm: str, plan: str = "classic"):
        super().__init__()
        self.depth, self.pool = len(widths), None if plan == "nnunet" else _POOLS[dims](2)
        for level, (inputs, width) in enumerate(zip((1, *widths), widths, strict=False)):
            stride = 2 if level and plan == "nnunet" else 1
            self.add_module(f"down_{level}", ConvLevel(dims, inputs, width, norm, stride, plan))
        for level in range(self.depth - 1):
            self.add_module(f"up_{level}", UpLevel(dims, widths[level + 1], widths[level], norm, plan))
        self.head = _CONVOLUTIONS[dims](widths[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the input's size."""
        skips = []
        for level in range(self.depth):
            if level and self.pool is not None:
                x = self.pool(x)
            x = self.get_submodule(f"down_{level}")(x)
            skips.append(x)
        for level in reversed(range(self.depth - 1)):
            x = self.get_submodule(f"up_{level}")(x, skips[level])
        return self.head(x)
