"""Arithmetic, traffic and memory of a compiled step, on one device.

What the numbers mean. XLA counts the optimised program of one device, operation by operation:

- FLOP: 2 m n k for a matrix product; for a convolution the taps that fall into the image; one per element of
  element-wise operations, also on integers; 8 n log2 n for a Fourier transform; none for exp or tanh and for
  calls into libraries (custom calls: LAPACK on CPUs; cuBLAS and cuDNN on GPUs). Convolutions and products on
  CPUs are no custom calls and are counted. The body of a loop is counted once; the repetitions are added here
  (`loops`).
- Bytes: every operation outside of fusions reads its operands and writes its result, each counted in full,
  though a cache may have saved the way to memory, or the operands of a convolution come more than once.
"""

import re
from dataclasses import dataclass
from typing import Any

import jax

from jaxmed.bench import arithmetic, loops

_LIBRARY = re.compile(
    r'custom_call_target="([^"]*(?:cublas|cudnn|hipblas|miopen|onednn|gemm|conv)[^"]*)"', re.I
)


@dataclass(frozen=True)
class Cost:
    """What a step computes and moves on one device.

    Attributes:
        flops: floating-point operations.
        bytes: bytes that its operations read and write.
        matrix_flops: of `flops`, about those in matrix products and convolutions as the algorithm was traced:
            what is there before the compiler simplifies, with taps beyond the border, divided by the number
            of devices.
        flops_counted_by: "compiled program", or "traced program" where that one calls libraries for matrix
            products or convolutions; then `flops` are the `matrix_flops` alone, if those are more.
        library_calls: the libraries' functions.
        num_unknown_loops: loops whose length depends on the data; each is counted once.
    """

    flops: float
    bytes: float
    matrix_flops: float
    flops_counted_by: str
    library_calls: tuple[str, ...]
    num_unknown_loops: int


@dataclass(frozen=True)
class Memory:
    """What a step needs of the memory of one device.

    Attributes:
        peak_memory_bytes: arguments, outputs and temporaries, what is both counted once.
        argument_bytes: state, batch and key.
        output_bytes: new state and metrics.
        aliased_bytes: of the outputs, what takes the place of arguments.
        temporary_bytes: activations, gradients and other intermediate results.
        device_peak_bytes: most that this process has held on its first device, by the device's own account
            (with everything else that was there); None where it keeps none, such as on CPUs.
        device_limit_bytes: most that it may hold; None likewise.
    """

    peak_memory_bytes: int
    argument_bytes: int
    output_bytes: int
    aliased_bytes: int
    temporary_bytes: int
    device_peak_bytes: int | None
    device_limit_bytes: int | None


def count_cost(traced: Any, compiled: Any, *, num_devices: int) -> Cost:
    """Counts what a step computes and moves.

    Args:
        traced: `jax.stages.Traced`.
        compiled: `jax.stages.Compiled` of the same.
        num_devices: over which the traced program is spread evenly.

    Returns:
        The cost on one device.
    """
    text = compiled.as_text()
    once, repetitions = loops.count(text, repeat=False), loops.count_repetitions(text)
    # Some backends have no analysis of their own.
    counted = compiled.cost_analysis() or {}
    flops = counted.get("flops", once.flops) + repetitions.flops
    matrix_flops = arithmetic.count_matrix_arithmetic(traced.jaxpr).total / num_devices
    calls = tuple(sorted(set(_LIBRARY.findall(text))))
    from_trace = bool(calls) and matrix_flops > flops
    return Cost(
        flops=float(matrix_flops if from_trace else flops),
        bytes=float(counted.get("bytes accessed", once.num_bytes) + repetitions.num_bytes),
        matrix_flops=float(matrix_flops),
        flops_counted_by="traced program" if from_trace else "compiled program",
        library_calls=calls,
        num_unknown_loops=repetitions.num_unknown,
    )


def analyse_memory(compiled: Any) -> Memory:
    """Reads what the compiler has planned, and what the device has seen so far."""
    planned = compiled.memory_analysis()
    outputs = planned.output_size_in_bytes - planned.alias_size_in_bytes
    stats = jax.local_devices()[0].memory_stats() or {}
    return Memory(
        peak_memory_bytes=planned.argument_size_in_bytes + outputs + planned.temp_size_in_bytes,
        argument_bytes=planned.argument_size_in_bytes,
        output_bytes=planned.output_size_in_bytes,
        aliased_bytes=planned.alias_size_in_bytes,
        temporary_bytes=planned.temp_size_in_bytes,
        device_peak_bytes=stats.get("peak_bytes_in_use"),
        device_limit_bytes=stats.get("bytes_limit"),
    )
