"""Calculated time of collective operations, and what it leaves of the speed of many accelerators.

Nothing here is measured: rates are those of data sheets, which no program reaches in full, and latencies are
assumptions. The calculation says which term dominates and from how many devices on, not how long a step
takes.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from jaxmed.bench.collectives import Collective

BACKWARD_SHARE = 2 / 3
"""Of the arithmetic of a training step: the gradients of inputs and of weights cost as much as the forward
pass each."""


@dataclass(frozen=True)
class Link:
    """What connects a device with the others of its group.

    Attributes:
        name: of the technology.
        bytes_per_second: that a device can send, while it receives as many.
        latency_seconds: of one message; an assumption.
        source: of the rate.
    """

    name: str
    bytes_per_second: float
    latency_seconds: float
    source: str


@dataclass(frozen=True)
class Machine:
    """An accelerator, and how many are connected.

    Attributes:
        name: of the accelerator.
        flops_per_second: dense bfloat16 products of matrices.
        memory_bytes_per_second: of the device's memory.
        source: of these two.
        node_size: devices that the fast link connects.
        inside: the link within a node.
        between: the link between nodes, its rate for each device.
    """

    name: str
    flops_per_second: float
    memory_bytes_per_second: float
    source: str
    node_size: int
    inside: Link
    between: Link


_NVLINK = Link("NVLink 4 and NVSwitch", 450e9, 3e-6, "NVIDIA H100 and H200 data sheets: 900 GB/s, both ways")
_H100 = (989e12, 3.35e12, "NVIDIA H100 SXM data sheet; bfloat16 without sparsity")
_INFINIBAND = Link(
    "InfiniBand NDR", 50e9, 5e-6, "NVIDIA DGX H100 data sheet: one 400 Gb/s ConnectX-7 per GPU"
)
_ETHERNET = Link("100 Gb/s Ethernet", 12.5e9 / 8, 20e-6, "IEEE 802.3: 100 Gb/s, shared by 8 GPUs of a node")

MACHINES: Mapping[str, Machine] = MappingProxyType(
    {
        "h100-infiniband": Machine("H100, InfiniBand", *_H100, 8, _NVLINK, _INFINIBAND),
        "h100-ethernet": Machine("H100, Ethernet", *_H100, 8, _NVLINK, _ETHERNET),
        "h200-infiniband": Machine(
            "H200, InfiniBand",
            989e12,
            4.8e12,
            "NVIDIA H200 SXM data sheet; bfloat16 without sparsity",
            8,
            _NVLINK,
            _INFINIBAND,
        ),
        "tpu-v5p": Machine(
            "TPU v5p",
            459e12,
            2.765e12,
            "Google Cloud, TPU v5p system architecture",
            6144,
            Link("ICI, 3-D torus", 600e9, 1e-6, "Google Cloud, TPU v5p: 1200 GB/s per chip, both ways"),
            Link("data centre network", 50e9 / 8, 20e-6, "Google Cloud, TPU v5p: 50 Gb/s per chip"),
        ),
    }
)


def sent_bytes(kind: str, result_bytes: float | int, num_devices: int) -> float:
    """What each device sends in a collective operation, by algorithms that send as little as possible.

    With p devices and a result of n bytes on each: all-gather and all-to-all (p - 1) / p n; reduce-scatter
    (p - 1) n, whose result is a p-th of what is summed; all-reduce, which is the two one after the other,
    2 (p - 1) / p n; a permutation or broadcast n.

    Args:
        kind: XLA's name.
        result_bytes: of the arrays that result on one device, as `collectives.Collective` counts them.
        num_devices: that take part.

    Returns:
        Bytes.

    Raises:
        ValueError: for an unknown kind.

    Reference:
        Thakur, Rabenseifner and Gropp, Optimization of collective communication operations in MPICH,
        International Journal of High Performance Computing Applications 19(1), 2005, sections 4.1 to 4.5.
    """
    if num_devices == 1:
        return 0.0
    others = num_devices - 1
    shares = {
        "all-gather": others / num_devices,
        "all-to-all": others / num_devices,
        "ragged-all-to-all": others / num_devices,
        "reduce-scatter": others,
        "all-reduce": 2 * others / num_devices,
        "collective-permute": 1.0,
        "collective-broadcast": 1.0,
    }
    if kind not in shares:
        raise ValueError(f"unknown collective '{kind}'; known: {', '.join(shares)}")
    return float(shares[kind] * result_bytes)


def num_messages(kind: str, num_devices: int) -> int:
    """How many messages follow one another: log2 p, twice for an all-reduce, one for a permutation."""
    if num_devices == 1:
        return 0
    if kind == "collective-permute":
        return 1
    rounds = math.ceil(math.log2(num_devices))
    return 2 * rounds if kind == "all-reduce" else rounds


def collective_seconds(kind: str, result_bytes: float | int, num_devices: int, link: Link) -> float:
    """Time of one operation among devices that one kind of link connects: latencies plus bytes over rate."""
    sent = sent_bytes(kind, result_bytes, num_devices)
    return num_messages(kind, num_devices) * link.latency_seconds + sent / link.bytes_per_second


def all_reduce_seconds(num_bytes: float | int, num_devices: int, machine: Machine) -> float:
    """Time of an all-reduce over nodes: summed in shares within each, over nodes, then gathered within.

    Args:
        num_bytes: of the array on each device.
        num_devices: whole nodes, or part of one.
        machine: whose links.

    Returns:
        Seconds.

    Raises:
        ValueError: if the devices make no whole number of nodes.
    """
    if num_devices <= machine.node_size:
        return collective_seconds("all-reduce", num_bytes, num_devices, machine.inside)
    num_nodes, rest = divmod(num_devices, machine.node_size)
    if rest:
        raise ValueError(f"{num_devices} devices make no whole nodes of {machine.node_size}")
    share = num_bytes / machine.node_size
    return (
        collective_seconds("reduce-scatter", share, machine.node_size, machine.inside)
        + collective_seconds("all-reduce", share, num_nodes, machine.between)
        + collective_seconds("all-gather", num_bytes, machine.node_size, machine.inside)
    )


def ideal_step_seconds(flops: float | int, num_bytes: float | int, machine: Machine) -> float:
    """Time of a step at the roofline of the data sheet.

    No program is faster, so that communication weighs most against it.
    """
    return max(flops / machine.flops_per_second, num_bytes / machine.memory_bytes_per_second)


@dataclass(frozen=True)
class Traffic:
    """All-reduces of a training step over the mesh axis data.

    Attributes:
        kernel_bytes: gradients of kernels, which can be summed while the backward pass goes on.
        num_kernels: operations in which they are summed.
        other_bytes: of arrays with one axis or none: the sums of normalisation over the batch, for which the
            next layer waits, with the gradients of scales and biases.
        num_others: operations in which they are summed.
    """

    kernel_bytes: int
    num_kernels: int
    other_bytes: int
    num_others: int


def split_traffic(collectives: Iterable[Collective]) -> Traffic:
    """Sorts the all-reduces of a compiled step by whether computation can go on meanwhile.

    An operation that sums kernels together with smaller arrays counts as one of kernels.

    Args:
        collectives: of the step, split over the mesh axis data alone.

    Returns:
        Their sums.
    """
    reduces = [one for one in collectives if one.kind == "all-reduce"]
    kernels = [one for one in reduces if any(len(shape) > 1 for shape in one.shapes)]
    others = [one for one in reduces if all(len(shape) <= 1 for shape in one.shapes)]
    return Traffic(
        kernel_bytes=sum(one.num_bytes for one in kernels),
        num_kernels=len(kernels),
        other_bytes=sum(one.num_bytes for one in others),
        num_others=len(others),
    )


@dataclass(frozen=True)
class Prediction:
    """A calculated training step on many devices, each with as many examples as one device had.

    Attributes:
        num_devices: over which the batch is split.
        compute_seconds: of the step on one device.
        kernel_seconds: to sum the gradients of kernels.
        other_seconds: to sum the rest.
        efficiency: share of the time that is computation, if nothing overlaps.
        overlapped_efficiency: the same if kernels are summed behind the backward pass as far as that lasts.
    """

    num_devices: int
    compute_seconds: float
    kernel_seconds: float
    other_seconds: float
    efficiency: float
    overlapped_efficiency: float


def predict(compute_seconds: float, traffic: Traffic, num_devices: int, machine: Machine) -> Prediction:
    """Calculates the efficiency of weak scaling.

    Args:
        compute_seconds: of the step on one device, without communication.
        traffic: of the step.
        num_devices: 1 or more.
        machine: whose links.

    Returns:
        The calculation.
    """

    def seconds(num_bytes: int, count: int) -> float:
        return count * all_reduce_seconds(num_bytes / count, num_devices, machine) if count else 0.0

    kernels = seconds(traffic.kernel_bytes, traffic.num_kernels)
    others = seconds(traffic.other_bytes, traffic.num_others)
    exposed = max(0.0, kernels - BACKWARD_SHARE * compute_seconds)
    return Prediction(
        num_devices=num_devices,
        compute_seconds=compute_seconds,
        kernel_seconds=kernels,
        other_seconds=others,
        efficiency=compute_seconds / (compute_seconds + kernels + others),
        overlapped_efficiency=compute_seconds / (compute_seconds + exposed + others),
    )
