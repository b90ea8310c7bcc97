"""Memory for batches that is used again, since fresh memory costs as much as what is copied into it."""

import sys
import threading
from collections.abc import Mapping

import numpy as np

_ALIGNMENT = 64
"""Bytes; aligned so, TensorFlow and JAX on a CPU take an array as it lies, without a copy."""

Spec = Mapping[str, tuple[tuple[int, ...], np.dtype]]
"""Shape and dtype of each array of an example."""


class BatchMemory:
    """Gives arrays for batches, in memory that nothing refers to any more or in new memory.

    The kernel hands out new pages zeroed and one by one, which takes as long as a copy. Memory is idle when
    its owner, to which all arrays on it refer, has no reference but this object's own: no array, view, buffer
    or device array that shares it is left. It may be used from several threads.

    Args:
        spec: shape and dtype of each array of an example.
        batch_size: examples in a batch.
        max_idle: how many pieces of idle memory are kept for each array.
    """

    def __init__(self, spec: Spec, batch_size: int, max_idle: int):
        self._spec, self._batch_size, self._max_idle = dict(spec), batch_size, max_idle
        self._owners: dict[str, list[np.ndarray]] = {name: [] for name in spec}
        self._lock = threading.Lock()

    def take(self) -> dict[str, np.ndarray]:
        """Gives arrays of '(batch_size, *shape)', C-contiguous and aligned, with any content."""
        with self._lock:
            return {name: self._array(name) for name in self._spec}

    def _array(self, name: str) -> np.ndarray:
        shape, dtype = self._spec[name]
        shape = (self._batch_size, *shape)
        num_bytes = int(np.prod(shape)) * dtype.itemsize
        owners = self._owners[name]
        idle = [place for place in range(len(owners)) if _references(owners, place) == _REFERENCES_OF_IDLE]
        owner = owners[idle[0]] if idle else np.empty(num_bytes + _ALIGNMENT, np.uint8)
        if not idle:
            owners.append(owner)
        for place in reversed(idle[1 + self._max_idle :]):
            del owners[place]
        start = -owner.ctypes.data % _ALIGNMENT
        return owner[start : start + num_bytes].view(dtype).reshape(shape)


def _references(owners: list[np.ndarray], place: int) -> int:
    return sys.getrefcount(owners[place])


_REFERENCES_OF_IDLE = _references([np.empty(0, np.uint8)], 0)
