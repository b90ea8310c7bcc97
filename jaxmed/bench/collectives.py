"""Communication in a compiled program: which arrays its collective operations move between devices."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jax

from jaxmed.types import PyTree

_KINDS = (
    "all-gather|all-reduce|reduce-scatter|all-to-all|ragged-all-to-all"
    "|collective-permute|collective-broadcast"
)
_INSTRUCTION = re.compile(rf"= (?P<result>.*?) (?P<kind>{_KINDS})(?P<start>-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+\d*[a-z0-9]*)\[([\d,]*)\]")
_NAME = re.compile(r'op_name="([^"]*)"')


@dataclass(frozen=True)
class Collective:
    """One collective operation, as one device sees it.

    Attributes:
        kind: XLA's name, such as "all-gather".
        shapes: of the arrays that it results in; XLA joins small ones into one operation.
        num_bytes: of those arrays together.
        origin: the operation of the traced program that it comes from; empty if unknown.
    """

    kind: str
    shapes: tuple[tuple[int, ...], ...]
    num_bytes: int
    origin: str = ""


def list_collectives(hlo: str) -> list[Collective]:
    """Finds the collective operations of a compiled program.

    Args:
        hlo: the text of the program on one device, `compiled.as_text()`.

    Returns:
        Them in the order of the text; one inside a loop counts once.
    """
    found = []
    for line in hlo.splitlines():
        if match := _INSTRUCTION.search(line):
            arrays = _ARRAY.findall(match["result"])
            if match["start"] and match["kind"] in ("all-gather", "collective-permute"):
                # The asynchronous forms give their operands, then their results, then counters.
                arrays = [array for array in arrays if array != ("u32", "")]
                arrays = arrays[len(arrays) // 2 :]
            shapes = tuple(tuple(int(size) for size in sizes.split(",") if size) for _, sizes in arrays)
            num_bytes = sum(
                _num_bytes(dtype, shape) for (dtype, _), shape in zip(arrays, shapes, strict=True)
            )
            name = _NAME.search(line)
            found.append(Collective(match["kind"], shapes, num_bytes, name[1] if name else ""))
    return found


def moved_activations(collectives: Iterable[Collective], exempt: PyTree) -> list[Collective]:
    """Those that collect, sum or transpose activations over devices; in a well split program, none.

    Every array counts whose shape is neither that of a leaf of `exempt`, up to the order of axes and axes of
    size 1, nor a scalar. Exchanges between neighbours (collective-permute), which carry the borders of split
    axes, do not count.

    Args:
        collectives: of a program.
        exempt: what may be reduced: arrays, or their shapes, that have no split axis, such as the state
            of training (for gradients and running statistics) and one number per example.

    Returns:
        The ones with such an array.
    """
    allowed = {(), *(_axes(leaf.shape) for leaf in jax.tree.leaves(exempt))}
    return [
        one
        for one in collectives
        if one.kind != "collective-permute" and any(_axes(shape) not in allowed for shape in one.shapes)
    ]


def count_by_kind(collectives: Iterable[Collective]) -> dict[str, tuple[int, int]]:
    """Number of operations and their bytes for every kind."""
    counts: dict[str, tuple[int, int]] = {}
    for one in collectives:
        number, num_bytes = counts.get(one.kind, (0, 0))
        counts[one.kind] = (number + 1, num_bytes + one.num_bytes)
    return dict(sorted(counts.items()))


def _axes(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(size for size in shape if size != 1))


def _num_bytes(dtype: str, shape: Sequence[int]) -> int:
    width = re.search(r"\d+", dtype)
    bits = int(width[0]) if width else 8
    for size in shape:
        bits *= size
    return -(-bits // 8)
