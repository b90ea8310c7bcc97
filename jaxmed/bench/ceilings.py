"""What the devices can do at best, measured: matrix products and copies; and a step's distance from it."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxmed.bench.arithmetic import Kind

_MATMUL_SIZES = (512, 1024, 2048, 4096, 8192, 16384)
_COPY_BYTES = (2**26, 2**27, 2**28, 2**29, 2**30)
_COPY_ROW_BYTES = 2**20
_LONG_ENOUGH_SECONDS = 0.01
_CHAIN_SECONDS, _MAX_CHAIN, _NUM_CHAINS = 0.1, 100, 3
_AXIS = "device"
_ONE_PER_DEVICE = PartitionSpec(_AXIS)


@dataclass(frozen=True)
class Ceilings:
    """What one device can do, while the others do the same.

    Attributes:
        peak_flops_per_second: in a product of two square matrices.
        peak_dtype: of the matrices.
        peak_precision: of the product.
        peak_matmul_size: number of rows of the matrices that did best.
        peak_bytes_per_second: read and written together, in `a = a / 2 + b` in place on float32 arrays that
            no cache holds.
        peak_copy_bytes: size of each of the two arrays that did best.
    """

    peak_flops_per_second: float
    peak_dtype: str
    peak_precision: str
    peak_matmul_size: int
    peak_bytes_per_second: float
    peak_copy_bytes: int


@dataclass(frozen=True)
class Roofline:
    """A step against the ceilings.

    Attributes:
        achieved_flops_per_second: on one device.
        achieved_bytes_per_second: on one device.
        arithmetic_intensity: FLOP per byte of the step.
        balance_intensity: FLOP per byte at which the machine's two ceilings bind alike.
        attainable_ms: time of the step if its arithmetic ran as fast as a matrix product and its traffic as
            fast as a copy, both at the same time: the larger of the two times.
        bound: which of them is the larger one.
        roofline_fraction: attainable over measured time. It can exceed 1: bytes count every operand of every
            operation though many never leave a cache, which is faster than memory.
    """

    achieved_flops_per_second: float
    achieved_bytes_per_second: float
    arithmetic_intensity: float
    balance_intensity: float
    attainable_ms: float
    bound: Literal["arithmetic", "memory"]
    roofline_fraction: float


def roofline(
    flops: float | int, num_bytes: float | int, step_seconds: float | int, ceilings: Ceilings
) -> Roofline:
    """Sets a step against the ceilings.

    Args:
        flops: of the step on one device.
        num_bytes: that it reads and writes there.
        step_seconds: its measured time.
        ceilings: of the device.

    Returns:
        The comparison.

    Reference:
        Williams, Waterman and Patterson, Roofline: an insightful visual performance model for multicore
        architectures, Communications of the ACM 52(4), 2009.
    """
    arithmetic_seconds = flops / ceilings.peak_flops_per_second
    memory_seconds = num_bytes / ceilings.peak_bytes_per_second
    attainable = max(arithmetic_seconds, memory_seconds)
    return Roofline(
        achieved_flops_per_second=flops / step_seconds,
        achieved_bytes_per_second=num_bytes / step_seconds,
        arithmetic_intensity=flops / num_bytes if num_bytes else math.inf,
        balance_intensity=ceilings.peak_flops_per_second / ceilings.peak_bytes_per_second,
        attainable_ms=1e3 * attainable,
        bound="arithmetic" if arithmetic_seconds > memory_seconds else "memory",
        roofline_fraction=attainable / step_seconds,
    )


def measure_ceilings(kind: Kind, devices: Sequence[Any]) -> Ceilings:
    """Measures the ceilings: of several sizes the best, of several repetitions the fastest.

    Calls follow one another without waiting for each, so that the time to call does not count. The numbers
    are random: GPUs run faster on constant ones.

    Args:
        kind: of the matrix products.
        devices: of this process; all work at once, and the ceiling is that of one.

    Returns:
        The ceilings; on a CPU it takes a second or two.
    """
    mesh = Mesh(np.array(devices), (_AXIS,), axis_types=(AxisType.Auto,))
    flops_per_second, matmul_size = _best_matmul(kind, mesh)
    bytes_per_second, copy_bytes = _best_copy(mesh)
    return Ceilings(flops_per_second, kind.dtype, kind.precision, matmul_size, bytes_per_second, copy_bytes)


def _best_matmul(kind: Kind, mesh: Mesh) -> tuple[float, int]:
    precision = _precision(kind.precision)

    def multiply(a, b):
        # Without the axis of devices it is a plain product, for which libraries have their best kernels.
        return jnp.matmul(a[0], b[0], precision=precision).astype(a.dtype)[None]

    function = jax.jit(
        jax.shard_map(
            multiply, mesh=mesh, in_specs=(_ONE_PER_DEVICE, _ONE_PER_DEVICE), out_specs=_ONE_PER_DEVICE
        )
    )
    found = []
    for size in _MATMUL_SIZES:
        # With this variance, products of products neither grow nor vanish.
        scale = math.sqrt(3 / size)
        a, b = (_draw(seed, (size, size), kind.dtype, scale, mesh) for seed in range(2))
        seconds = _fastest(function, a, b)
        found.append((2 * size**3 / seconds, size))
        if seconds > _LONG_ENOUGH_SECONDS:
            break
    return max(found)


def _precision(name: str) -> Any:
    known = lax.Precision if name.upper() in lax.Precision.__members__ else lax.DotAlgorithmPreset
    return known[name.upper()]


def _best_copy(mesh: Mesh) -> tuple[float, int]:
    function = jax.jit(lambda a, b: a / 2 + b, donate_argnums=0)
    shares = mesh.size if mesh.devices.flat[0].platform == "cpu" else 1
    found = []
    for num_bytes in (total // shares for total in _COPY_BYTES):
        a, b = (_draw_copies(seed, num_bytes, mesh) for seed in range(2))
        seconds = _fastest(function, a, b)
        found.append((3 * num_bytes / seconds, num_bytes))
        if seconds > _LONG_ENOUGH_SECONDS:
            break
    return max(found)


def _draw(seed: int, shape: tuple[int, ...], dtype: str, scale: float, mesh: Mesh) -> jax.Array:
    def draw():
        key = jax.random.key(seed, impl="rbg")
        numbers = jax.random.uniform(key, (mesh.size, *shape), minval=-1.0, maxval=1.0)
        return (scale * numbers).astype(dtype)

    return jax.jit(draw, out_shardings=NamedSharding(mesh, _ONE_PER_DEVICE))()


def _draw_copies(seed: int, num_bytes: int, mesh: Mesh) -> jax.Array:
    """Equal rows, since so many random numbers would take seconds."""
    row = _draw(seed, (1, _COPY_ROW_BYTES // 4), "float32", 1.0, mesh)
    repeat = jax.jit(lambda x: jnp.repeat(x, num_bytes // _COPY_ROW_BYTES, axis=1))
    return repeat(row)


def _fastest(function: Callable, a: jax.Array, b: jax.Array) -> float:
    """Seconds of a call in the fastest of some chains of calls."""
    a = jax.block_until_ready(function(a, b))
    begun = time.perf_counter()
    a = jax.block_until_ready(function(a, b))
    length = min(max(round(_CHAIN_SECONDS / (time.perf_counter() - begun)), 1), _MAX_CHAIN)
    seconds = []
    for _ in range(_NUM_CHAINS):
        begun = time.perf_counter()
        for _ in range(length):
            a = function(a, b)
        jax.block_until_ready(a)
        seconds.append((time.perf_counter() - begun) / length)
    return min(seconds)
