"""Arithmetic and traffic of single instructions of a compiled program, by the rules of XLA's own analysis."""

import math
import re
from collections.abc import Mapping, Sequence

from jaxmed.bench.hlo import Instruction, Program

_ELEMENTWISE = """
abs add and ceil clamp compare complex convert divide floor imag is-finite maximum minimum multiply
negate not or popcnt real remainder round-nearest-afz round-nearest-even select shift-left
shift-right-arithmetic shift-right-logical sign subtract xor
"""
_NO_TRAFFIC = """
parameter constant tuple get-tuple-element bitcast after-all opt-barrier partition-id replica-id
while call conditional
"""
_SLICES = ("dynamic-slice", "slice", "gather")
_FLOPS_PER_FFT_POINT = 8

_KERNEL_LABELS = re.compile(r"dim_labels=\w+_(\w+)->")
_INPUT_DILATION = re.compile(r"lhs_dilate=([\dx]+)")
_WINDOW = re.compile(r"window=\{size=([\dx]+)")
_FFT_LENGTH = re.compile(r"fft_length=\{([\d,]*)\}")
_CONTRACTING = re.compile(r"lhs_contracting_dims=\{([\d,]*)\}")


def flops(instruction: Instruction, operands: Sequence[Instruction]) -> float | int:
    """Floating-point operations of an instruction, without those of computations that it runs.

    One per element for element-wise operations, none for transcendental functions, 2 m n k for matrix
    products, 8 n log2 n for Fourier transforms of n points. Differs from XLA's: taps of a convolution beyond
    the border count.

    Args:
        instruction: which.
        operands: the instructions that it reads.

    Returns:
        How many.
    """
    opcode, text = instruction.opcode, instruction.attributes
    if opcode in _ELEMENTWISE.split():
        return instruction.size
    if opcode == "dot":
        shape = operands[0].shapes[0]
        return 2 * instruction.size * math.prod(shape[axis] for axis in _numbers(_CONTRACTING, text))
    if opcode == "convolution":
        labels, kernel = _KERNEL_LABELS.search(text), operands[1].shapes[0]
        taps = math.prod(kernel) / max(kernel[labels[1].index("o")], 1) if labels else 1
        return 2 * instruction.size * taps / math.prod(_numbers(_INPUT_DILATION, text))
    if opcode == "fft":
        points = max(math.prod(_numbers(_FFT_LENGTH, text)), 1)
        return _FLOPS_PER_FFT_POINT * max(instruction.size, operands[0].size) * math.log2(points)
    if opcode == "reduce":
        return operands[0].size
    if opcode == "reduce-window":
        return instruction.size * math.prod(_numbers(_WINDOW, text))
    return 0


def _numbers(pattern: re.Pattern[str], text: str) -> list[int]:
    found = pattern.search(text)
    return [int(number) for number in re.findall(r"\d+", found[1])] if found else []


def traffic(instruction: Instruction, operands: Sequence[Instruction], program: Program) -> float | int:
    """Bytes that an instruction outside of fusions reads and writes: its operands and its result.

    Of an array that is sliced, or updated in place, the part counts.

    Args:
        instruction: which.
        operands: the instructions that it reads.
        program: with the computations of fusions.

    Returns:
        How many.
    """
    if instruction.opcode in _NO_TRAFFIC.split():
        return 0
    if instruction.opcode == "fusion" and instruction.called:
        inside = program.computations[instruction.called[0]]
        return _read_by_fusion(operands, inside) + _written_by_fusion(inside)
    if instruction.opcode in _SLICES:
        return 2 * instruction.num_bytes
    if instruction.opcode == "dynamic-update-slice":
        return 2 * operands[1].num_bytes
    return instruction.num_bytes + sum(operand.num_bytes for operand in operands)


def _read_by_fusion(operands: Sequence[Instruction], inside: Mapping[str, Instruction]) -> float | int:
    parameters = {int(item.arguments): name for name, item in inside.items() if item.opcode == "parameter"}
    total = 0
    for number, operand in enumerate(operands):
        name = parameters.get(number)
        uses = [_part(item, name) for item in inside.values() if name in item.operands]
        parts = [part for part in uses if part is not None]
        total += min(sum(parts), operand.num_bytes) if len(parts) == len(uses) else operand.num_bytes
    return total


def _part(user: Instruction, name: str | None) -> int | None:
    """Bytes that `user` reads of the array `name`; None for the whole."""
    if user.operands[0] != name:
        return None
    if user.opcode in _SLICES:
        return user.num_bytes
    return 0 if user.opcode == "dynamic-update-slice" else None


def _written_by_fusion(inside: Mapping[str, Instruction]) -> float | int:
    (root,) = (item for item in inside.values() if item.is_root)
    results = [inside[name] for name in root.operands] if root.opcode == "tuple" else [root]
    total = 0
    for result in results:
        while result.opcode == "bitcast":
            result = inside[result.operands[0]]
        updated = result.opcode == "dynamic-update-slice"
        total += (inside[result.operands[1]] if updated else result).num_bytes
    return total
