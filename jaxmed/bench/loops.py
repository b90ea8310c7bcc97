"""What a compiled program computes and moves in its loops, whose bodies XLA's own analysis counts once."""

from dataclasses import dataclass

from jaxmed.bench import hlo, hlo_cost


@dataclass(frozen=True)
class Counts:
    """Arithmetic and traffic of a program or a part of one.

    Attributes:
        flops: floating-point operations.
        num_bytes: bytes read and written.
        num_unknown: loops that run until a condition holds, for who knows how long; each counts once.
    """

    flops: float | int = 0
    num_bytes: float | int = 0
    num_unknown: int = 0

    def plus(self, other: "Counts", times: int = 1) -> "Counts":
        """The sum of these and `times` the others."""
        return Counts(
            self.flops + times * other.flops,
            self.num_bytes + times * other.num_bytes,
            self.num_unknown + other.num_unknown,
        )


def count(text: str, *, repeat: bool = True) -> Counts:
    """Counts the arithmetic and the traffic of a compiled program as `hlo_cost` does.

    Args:
        text: the program on one device, `compiled.as_text()`.
        repeat: count the body of a loop as often as it runs; otherwise once, as XLA's analysis does.

    Returns:
        The counts.
    """
    program = hlo.parse(text)
    return _count(program, program.entry, {}, repeat=repeat)


def count_repetitions(text: str) -> Counts:
    """Counts what the loops of a compiled program compute and move after their first repetition.

    Added to XLA's analysis, which counts every body once, this gives the whole program.

    Args:
        text: the program on one device, `compiled.as_text()`.

    Returns:
        The counts, and in `num_unknown` the loops to which nothing can be added.
    """
    once, repeated = count(text, repeat=False), count(text)
    return repeated.plus(Counts(once.flops, once.num_bytes), times=-1)


def _count(program: hlo.Program, name: str, known: dict[str, Counts], *, repeat: bool) -> Counts:
    """Counts a computation; `known` holds those that were counted before."""
    if name not in known:
        total, computation = Counts(), program.computations[name]
        for instruction in computation.values():
            operands = [computation[operand] for operand in instruction.operands if operand in computation]
            flops = hlo_cost.flops(instruction, operands)
            total = total.plus(Counts(flops, hlo_cost.traffic(instruction, operands, program)))
            total = total.plus(_called(program, instruction, known, repeat=repeat))
        known[name] = total
    return known[name]


def _called(
    program: hlo.Program, instruction: hlo.Instruction, known: dict[str, Counts], *, repeat: bool
) -> Counts:
    """What the computations that an instruction runs add to it."""
    opcode = instruction.opcode
    if opcode not in ("fusion", "call", "async-start", "conditional", "while"):
        return Counts()
    inner = [_count(program, name, known, repeat=repeat) for name in instruction.called]
    if opcode == "fusion":
        return Counts(sum(counts.flops for counts in inner))
    if opcode == "conditional":
        return max(inner, key=lambda counts: counts.flops)
    trips = instruction.num_trips
    total = Counts(num_unknown=int(opcode == "while" and trips is None))
    for counts in inner:
        total = total.plus(counts, trips if repeat and trips else 1)
    return total
