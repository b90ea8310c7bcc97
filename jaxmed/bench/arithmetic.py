"""Matrix products and convolutions of a traced program: how much arithmetic, in which dtype."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jax.extend import core


@dataclass(frozen=True)
class Kind:
    """A kind of matrix arithmetic.

    Attributes:
        dtype: of the operands, such as "bfloat16".
        precision: "default", "high" or "highest", as XLA names them; it decides what hardware may be used.
    """

    dtype: str
    precision: str = "default"


@dataclass(frozen=True)
class MatrixArithmetic:
    """Matrix products and convolutions of a program, whatever a compiler makes of them.

    Attributes:
        flops: multiplications and additions by kind, over all devices: 2 m n k for a product of (m, k) and
            (k, n); for a convolution as if every tap fell into the image, without the zeros that dilate its
            input.
    """

    flops: Mapping[Kind, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Over all kinds."""
        return sum(self.flops.values())

    @property
    def main_kind(self) -> Kind:
        """The kind with most arithmetic; float32 where there is none at all."""
        return max(self.flops, key=lambda kind: self.flops[kind]) if self.total else Kind("float32")


def count_matrix_arithmetic(jaxpr: Any) -> MatrixArithmetic:
    """Counts the matrix products and convolutions of a traced program.

    Loops of known length (`scan`) count as often as they run, other loops once, of the branches of a
    condition the one with most arithmetic, and the body of a `shard_map` once for each device.

    Args:
        jaxpr: a `jax.extend.core.Jaxpr` or `ClosedJaxpr`, as in `jax.jit(f).trace(...).jaxpr`.

    Returns:
        The counts.
    """
    return MatrixArithmetic(dict(_count(jaxpr, _flops)))


def count_matrix_bytes(jaxpr: Any) -> int:
    """Counts what the matrix products and convolutions of a traced program must read and write at least.

    Each operand and each result once, over all devices, as if everything between them were fused with them;
    loops and conditions count as in `count_matrix_arithmetic`.
    """
    return _count(jaxpr, _moved_bytes).total()


def _count(jaxpr: Any, measure: Callable[[Any], int]) -> Counter[Kind]:
    total = Counter[Kind]()
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        for kind, number in _count_equation(equation, measure).items():
            total[kind] += number
    return total


def _count_equation(equation: Any, measure: Callable[[Any], int]) -> Counter[Kind]:
    name, params = equation.primitive.name, equation.params
    if name in ("dot_general", "conv_general_dilated"):
        return _one(equation, measure(equation))
    if name == "cond":
        counts = (_count(branch, measure) for branch in params["branches"])
        return max(counts, key=lambda counted: counted.total())
    times = 1
    if name == "scan":
        times = params["length"]
    elif name == "shard_map":
        times = params["mesh"].size
    total = Counter[Kind]()
    for inner in core.jaxprs_in_params(params):
        for kind, number in _count(inner, measure).items():
            total[kind] += times * number
    return total


def _flops(equation: Any) -> int:
    is_dot = equation.primitive.name == "dot_general"
    return _dot_flops(equation) if is_dot else _convolution_flops(equation)


def _moved_bytes(equation: Any) -> int:
    arrays = (*equation.invars, *equation.outvars)
    return sum(array.aval.size * array.aval.dtype.itemsize for array in arrays)


def _one(equation: Any, flops: int) -> Counter[Kind]:
    precision = equation.params["precision"]
    first = precision[0] if isinstance(precision, tuple) else precision
    # A precision may also be the name of an algorithm, which has its own arithmetic; it is kept as it is.
    name = "default" if first is None else getattr(first, "name", str(first)).lower()
    return Counter({Kind(equation.invars[0].aval.dtype.name, name): flops})


def _dot_flops(equation: Any) -> int:
    (contracting, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    return 2 * equation.outvars[0].aval.size * math.prod(shape[axis] for axis in contracting)


def _convolution_flops(equation: Any) -> int:
    kernel, params = equation.invars[1].aval, equation.params
    num_features = kernel.shape[params["dimension_numbers"].rhs_spec[0]]
    taps = kernel.size // num_features if num_features else 0
    return 2 * equation.outvars[0].aval.size * taps // math.prod(params["lhs_dilation"])
