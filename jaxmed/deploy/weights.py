"""Arrays by name as safetensors: numbers and nothing that could run."""

from collections.abc import Mapping

import numpy as np
import safetensors.numpy

from jaxmed.types import Leaf

_KINDS = frozenset(("bool", "complex64", "float16", "float32", "float64")) | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def to_bytes(arrays: Mapping[str, Leaf]) -> bytes:
    """Writes arrays in the safetensors format; the same arrays always give the same bytes.

    Args:
        arrays: bool, integer, float16, float32, float64 or complex64, of any shape.

    Raises:
        ValueError: for another dtype, such as bfloat16, which NumPy alone cannot read back.
    """
    wrong = [f"{name} is {array.dtype}" for name, array in arrays.items() if array.dtype.name not in _KINDS]
    if wrong:
        raise ValueError(f"{wrong[0]}; wanted one of {', '.join(sorted(_KINDS))}")
    # The format stores memory as it lies: an array in another order than C would come back scrambled.
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def from_bytes(content: bytes) -> dict[str, np.ndarray]:
    """Reads what `to_bytes` wrote.

    Raises:
        ValueError: if it is damaged, or holds a dtype that NumPy does not know.
    """
    try:
        return safetensors.numpy.load(content)
    except (safetensors.SafetensorError, KeyError) as error:
        raise ValueError(f"no safetensors that can be read ({' '.join(str(error).split())})") from error
