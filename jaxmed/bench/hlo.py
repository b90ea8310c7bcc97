"""The text of a compiled program as computations and instructions."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

_HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_ARRAY = re.compile(r"\b([a-z]+\d*[a-z0-9]*)\[([\d,]*)\]")
_CALLED = re.compile(r"\b(?:calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: unique in the program.
        opcode: such as "dot" or "fusion".
        shapes: of the arrays of its result.
        num_bytes: of those arrays together.
        arguments: what stands in its parentheses: the instructions that it reads, or a number.
        attributes: the rest of the line.
        is_root: whether its computation results in it.
    """

    name: str
    opcode: str
    shapes: tuple[tuple[int, ...], ...]
    num_bytes: int
    arguments: str
    attributes: str
    is_root: bool

    @property
    def operands(self) -> tuple[str, ...]:
        """The names of the instructions that it reads."""
        return tuple(re.findall(r"%([\w.\-]+)", self.arguments))

    @property
    def size(self) -> int:
        """Number of elements of the result."""
        return sum(map(math.prod, self.shapes))

    @property
    def called(self) -> tuple[str, ...]:
        """The computations that it runs."""
        branches = _BRANCHES.search(self.attributes)
        listed = re.findall(r"[\w.\-]+", branches[1]) if branches else []
        return (*_CALLED.findall(self.attributes), *listed)

    @property
    def num_trips(self) -> int | None:
        """How often a loop runs; None where the compiler does not know, or it is no loop."""
        trips = _TRIPS.search(self.attributes)
        return int(trips[1]) if trips else None


@dataclass(frozen=True)
class Program:
    """The computations of a program, each its instructions by name in order, and which one is the entry."""

    computations: Mapping[str, Mapping[str, Instruction]]
    entry: str


def parse(text: str) -> Program:
    """Reads what `compiled.as_text()` gives.

    Raises:
        ValueError: if the text has no entry computation.
    """
    computations: dict[str, dict[str, Instruction]] = {}
    entry = ""
    current: dict[str, Instruction] = {}
    for line in text.splitlines():
        if header := _HEADER.match(line):
            current = computations.setdefault(header[2], {})
            entry = header[2] if header[1] else entry
        elif found := _INSTRUCTION.match(line):
            instruction = _parse_instruction(found[2], found[3], is_root=bool(found[1]))
            current[instruction.name] = instruction
    if not entry:
        raise ValueError("the text of the program has no line that begins with ENTRY")
    return Program(computations, entry)


def _parse_instruction(name: str, text: str, *, is_root: bool) -> Instruction:
    result_end = _closing(text, 0) if text.startswith("(") else text.index(" ")
    result, rest = text[:result_end], text[result_end:].lstrip()
    begin = rest.index("(")
    end = _closing(rest, begin)
    arrays = [(kind, _sizes(sizes)) for kind, sizes in _ARRAY.findall(result)]
    return Instruction(
        name=name,
        opcode=rest[:begin],
        shapes=tuple(shape for _, shape in arrays),
        num_bytes=sum(_num_bytes(kind, shape) for kind, shape in arrays),
        arguments=rest[begin + 1 : end - 1],
        attributes=rest[end:],
        is_root=is_root,
    )


def _closing(text: str, begin: int) -> int:
    """The place after the parenthesis that closes the one at `begin`."""
    depth = 0
    for place in range(begin, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place + 1
    return len(text)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(",") if size)


def _num_bytes(kind: str, shape: tuple[int, ...]) -> int:
    width = re.search(r"\d+", kind)
    return -(-math.prod(shape) * (int(width[0]) if width else 8) // 8)
