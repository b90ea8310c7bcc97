"""The operators that `benchmarks.operators` times: shapes, the library's form, the plain one, PyTorch's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxmed.ops import convolution, interpolation, normalization, pooling
from jaxmed.ops import convolution_forms as forms

PLAIN = "plain"
"""The form of lax or flax that all are compared with."""

Shape = tuple[int, ...]


def to_torch_kernel(kernel: Any) -> Any:
    """(*window, in, out) becomes PyTorch's (out, in, *window)."""
    return kernel.movedim((-1, -2), (0, 1)).contiguous()


def to_torch_transposed_kernel(kernel: Any) -> Any:
    """(*window, in, out) becomes PyTorch's (in, out, *window), reversed."""
    window = tuple(range(kernel.ndim - 2))
    return kernel.flip(window).movedim((-2, -1), (0, 1)).contiguous()


@dataclass(frozen=True)
class Case:
    """One operator.

    Attributes:
        name: on the command line.
        title: in the table.
        shapes: of its arrays; the first is (batch, *spatial, channels), a second one is a kernel.
        quick: tiny ones.
        forms: functions of the arrays by name, "ours" and `PLAIN` among them.
        torch: the same with `torch.nn.functional` before the arrays; None leaves PyTorch out.
        torch_kernel: brings a kernel into PyTorch's layout.
    """

    name: str
    title: str
    shapes: tuple[Shape, ...]
    quick: tuple[Shape, ...]
    forms: Mapping[str, Callable]
    torch: Callable | None = None
    torch_kernel: Callable = to_torch_kernel


def lax_conv(x: jax.Array, kernel: jax.Array, stride: int = 1, padding: Any = "SAME", groups: int = 1):
    """The convolution of lax."""
    num = x.ndim - 2
    axes = "DHW"[3 - num :]
    layout = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    return lax.conv_general_dilated(
        x, kernel, (stride,) * num, padding, dimension_numbers=layout, feature_group_count=groups
    )


def lax_transposed(x: jax.Array, kernel: jax.Array):
    """The transposed convolution of lax, stride 2."""
    num = x.ndim - 2
    axes = "DHW"[3 - num :]
    layout = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    return lax.conv_transpose(x, kernel, (2,) * num, "SAME", dimension_numbers=layout)


def _conv_case(
    name: str, spatial: Shape, channels: tuple[int, int], *, stride: int = 1, groups: int = 1
) -> Case:
    inside, outside = channels
    window = (3,) * len(spatial)
    kernel = (*window, inside // groups, outside)
    ones, pads = (1,) * len(window), ((1, 1),) * len(window)
    steps = (stride,) * len(window)
    compared: dict[str, Callable] = {
        "ours": lambda x, k: convolution.conv(x, k, stride=stride, padding=1, num_groups=groups),
        PLAIN: lambda x, k: lax_conv(x, k, stride, pads, groups),
    }
    if len(spatial) == 3 and groups == 1:
        compared["stacked taps"] = lambda x, k: forms.stacked_taps(x, k, steps, pads, ones)
    if kernel[-2] == 1:
        compared["shifted products"] = lambda x, k: forms.shifted_products(x, k, steps, pads, ones)
    size = "x".join(map(str, spatial))
    extra = f", stride {stride}" if stride > 1 else ""
    extra += f", {groups} groups" if groups > 1 else ""

    def torch(functional, x, k):
        conv = functional.conv2d if len(spatial) == 2 else functional.conv3d
        return conv(x, k, stride=stride, padding=1, groups=groups)

    tiny = (1, *(6,) * len(spatial), inside)
    batch = 4 if len(spatial) == 2 else 1
    title = f"convolution {size}, {inside} to {outside}{extra}"
    return Case(name, title, ((batch, *spatial, inside), kernel), (tiny, kernel), compared, torch)


def _transposed_case(name: str, spatial: Shape, channels: tuple[int, int], window: int) -> Case:
    num = len(spatial)
    kernel = (*(window,) * num, *channels)

    def torch(functional, x, k):
        conv = functional.conv_transpose2d if num == 2 else functional.conv_transpose3d
        return conv(x, k, stride=2, padding=window // 2 - (window == 2), output_padding=window % 2)

    size = "x".join(map(str, spatial))
    return Case(
        name,
        f"transposed convolution {size}, {channels[0]} to {channels[1]}, window {window}, stride 2",
        ((4 if num == 2 else 1, *spatial, channels[0]), kernel),
        ((1, *(4,) * num, channels[0]), kernel),
        {"ours": convolution.conv_transpose, PLAIN: lax_transposed},
        torch,
        to_torch_transposed_kernel,
    )


def _upsample_conv_case(name: str, spatial: Shape, channels: tuple[int, int]) -> Case:
    num = len(spatial)
    kernel = (*(3,) * num, *channels)

    def plain(x, k):
        for axis in range(1, 1 + num):
            x = jnp.repeat(x, 2, axis)
        return lax_conv(x, k)

    def torch(functional, x, k):
        conv = functional.conv2d if num == 2 else functional.conv3d
        return conv(functional.interpolate(x, scale_factor=2), k, padding=1)

    size = "x".join(map(str, spatial))
    return Case(
        name,
        f"repeat, then convolve {size}, {channels[0]} to {channels[1]}",
        ((4 if num == 2 else 1, *spatial, channels[0]), kernel),
        ((1, *(4,) * num, channels[0]), kernel),
        {
            "ours": convolution.upsample_conv,
            PLAIN: plain,
            "repeat, then ours": lambda x, k: convolution.conv(interpolation.upsample_nearest(x), k),
        },
        torch,
    )


def _map_case(
    name: str, title: str, shape: Shape, compared: Mapping[str, Callable], torch: Callable | None
) -> Case:
    """An operator of one array."""
    tiny = (1, *(6,) * (len(shape) - 2), 4)
    size = "x".join(map(str, shape))
    return Case(name, f"{title} {size}", (shape,), (tiny,), compared, torch)


def _flax_norm(x: jax.Array, *, batch: bool) -> jax.Array:
    """Normalisation in flax without learned numbers, in its fast form E[x^2] - E[x]^2."""
    if not batch:
        return nn.InstanceNorm(epsilon=1e-5, use_bias=False, use_scale=False).apply({}, x)
    layer = nn.BatchNorm(False, epsilon=1e-5, use_bias=False, use_scale=False)
    return layer.apply({}, x, mutable=["batch_stats"])[0]


def _our_norm(x: jax.Array, *, batch: bool) -> jax.Array:
    about = normalization.moments(x, range(0 if batch else 1, x.ndim - 1))
    return normalization.standardize(x, about).astype(x.dtype)


def _two_pass_norm(x: jax.Array, *, batch: bool) -> jax.Array:
    axes = tuple(range(0 if batch else 1, x.ndim - 1))
    precise = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = precise.mean(axes, keepdims=True)
    variance = ((precise - mean) ** 2).mean(axes, keepdims=True)
    return ((precise - mean) * lax.rsqrt(variance + 1e-5)).astype(x.dtype)


def _norm_case(name: str, title: str, shape: Shape, *, batch: bool) -> Case:
    def with_relu(norm):
        return lambda x: nn.relu(norm(x, batch=batch))

    def torch(functional, x):
        if batch:
            return functional.relu(functional.batch_norm(x, None, None, training=True))
        return functional.relu(functional.instance_norm(x))

    compared = {"ours": _our_norm, PLAIN: _flax_norm, "two passes": _two_pass_norm}
    return _map_case(name, title, shape, {key: with_relu(norm) for key, norm in compared.items()}, torch)


def _pool_case(name: str, shape: Shape) -> Case:
    twos = (2,) * (len(shape) - 2)

    def torch(functional, x):
        return (functional.max_pool2d if x.ndim == 4 else functional.max_pool3d)(x, 2)

    compared = {"ours": pooling.max_pool, PLAIN: lambda x: nn.max_pool(x, twos, twos)}
    return _map_case(name, "max-pooling", shape, compared, torch)


def _resize_case(name: str, shape: Shape, *, linear: bool) -> Case:
    def double(x):
        return tuple(2 * size for size in x.shape[1:-1])

    def plain(x):
        method = "linear" if linear else "nearest"
        return jax.image.resize(x, (x.shape[0], *double(x), x.shape[-1]), method)

    def torch(functional, x):
        mode = ("bilinear" if x.ndim == 4 else "trilinear") if linear else "nearest"
        return functional.interpolate(x, scale_factor=2, mode=mode)

    def ours(x):
        return interpolation.resize_linear(x, double(x)) if linear else interpolation.upsample_nearest(x)

    title = f"{'linear' if linear else 'nearest'} x2"
    return _map_case(name, title, shape, {"ours": ours, PLAIN: plain}, torch)


IMAGE, VOLUME = (4, 128, 128, 32), (1, 48, 48, 48, 16)

CASES = (
    _conv_case("conv-3d", (64, 64, 64), (16, 16)),
    _conv_case("conv-3d-deep", (16, 16, 16), (128, 128)),
    _conv_case("conv-3d-first", (64, 64, 64), (1, 16)),
    _conv_case("conv-3d-strided", (64, 64, 64), (16, 32), stride=2),
    _conv_case("conv-2d", (128, 128), (32, 32)),
    _conv_case("grouped-2d", (64, 64), (64, 64), groups=8),
    _conv_case("grouped-3d", (24, 24, 24), (32, 32), groups=8),
    _conv_case("depthwise-2d", (64, 64), (64, 64), groups=64),
    _conv_case("depthwise-3d", (24, 24, 24), (32, 32), groups=32),
    _transposed_case("transposed-2d", (64, 64), (128, 64), 2),
    _transposed_case("transposed-3d", (24, 24, 24), (64, 32), 2),
    _transposed_case("transposed-2d-wide", (32, 32), (64, 32), 3),
    _transposed_case("transposed-3d-wide", (16, 16, 16), (64, 32), 3),
    _upsample_conv_case("upsample-conv-2d", (64, 64), (64, 32)),
    _upsample_conv_case("upsample-conv-3d", (24, 24, 24), (32, 16)),
    _pool_case("pool-2d", IMAGE),
    _pool_case("pool-3d", VOLUME),
    _norm_case("instance-norm-2d", "instance norm, ReLU", IMAGE, batch=False),
    _norm_case("instance-norm-3d", "instance norm, ReLU", (2, *VOLUME[1:]), batch=False),
    _norm_case("batch-norm-2d", "batch norm, ReLU", IMAGE, batch=True),
    _norm_case("batch-norm-3d", "batch norm, ReLU", (2, *VOLUME[1:]), batch=True),
    _resize_case("nearest-2d", (4, 64, 64, 32), linear=False),
    _resize_case("nearest-3d", (1, 24, 24, 24, 32), linear=False),
    _resize_case("linear-2d", (4, 64, 64, 32), linear=True),
    _resize_case("linear-3d", (1, 24, 24, 24, 32), linear=True),
)
