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


class ConvBlock(nn.Module):
    """Twice a 3^d convolution, a norm and a ReLU."""

    def __init__(self, dims: int, inputs: int, outputs: int, norm: str):
        super().__init__()
        for index, width in enumerate((inputs, outputs)):
            conv = _CONVOLUTIONS[dims](width, outputs, 3, padding=1, bias=False)
            self.add_module(f"conv_{index}", conv)
            self.add_module(f"norm_{index}", _NORMS[norm, dims](outputs, affine=True))

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block."""
        x = torch.relu(self.norm_0(self.conv_0(x)))
        return torch.relu(self.norm_1(self.conv_1(x)))


class UNet(nn.Module):
    """Max-pooling on the way down, transposed convolutions of stride 2 on the way up, concatenated skips."""

    def __init__(self, dims: int, widths: tuple[int, ...], norm: str):
        super().__init__()
        self.depth = len(widths) - 1
        for level, width in enumerate(widths):
            self.add_module(f"down_{level}", ConvBlock(dims, widths[level - 1] if level else 1, width, norm))
        for level in range(self.depth):
            self.add_module(
                f"upsample_{level}", _TRANSPOSED[dims](widths[level + 1], widths[level], 2, stride=2)
            )
            self.add_module(f"up_{level}", ConvBlock(dims, 2 * widths[level], widths[level], norm))
        self.pool = _POOLS[dims](2)
        self.head = _CONVOLUTIONS[dims](widths[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the input's size."""
        skips = []
        for level in range(self.depth):
            skips.append(self.get_submodule(f"down_{level}")(x))
            x = self.pool(skips[-1])
        x = self.get_submodule(f"down_{self.depth}")(x)
        for level in reversed(range(self.depth)):
            x = torch.cat([skips[level], self.get_submodule(f"upsample_{level}")(x)], dim=1)
            x = self.get_submodule(f"up_{level}")(x)
        return self.head(x)
