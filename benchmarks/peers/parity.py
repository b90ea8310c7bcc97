"""Whether two networks are the same: PyTorch's weights in flax's layout, and distances of results."""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from benchmarks.peers.work import Probe

Path = tuple[str, ...]
WEIGHT, GRADIENT = "weight:", "gradient:"

_SMALL = 1e-3  # part of the whole gradient's norm below which a parameter's gradient is rounding noise


def same_name(path: Path) -> str:
    """The name in PyTorch of a flax parameter whose modules are called the same on both sides."""
    last = {"kernel": "weight", "scale": "weight"}.get(path[-1], path[-1])
    return ".".join((*path[:-1], last))


def to_flax(
    template: Mapping, arrays: Probe, name_of: Callable[[Path], str] = same_name, prefix: str = WEIGHT
) -> Mapping:
    """Arrays of PyTorch's parameters (or their gradients) as a tree of flax.

    Args:
        template: parameters of the flax module, for structure and shapes.
        arrays: by `prefix` and PyTorch's name.
        name_of: PyTorch's name of a flax parameter.
        prefix: of the names.

    Returns:
        A tree like `template`.

    Raises:
        ValueError: where a shape does not fit.
    """

    def convert(key_path, leaf):
        path = tuple(str(key.key) for key in key_path)
        array = _transpose(arrays[prefix + name_of(path)], path)
        array = array.reshape(leaf.shape) if array.size == 1 else array
        if array.shape != leaf.shape:
            raise ValueError(f"{'/'.join(path)}: {leaf.shape} in flax, {array.shape} in PyTorch")
        return array

    return jax.tree_util.tree_map_with_path(convert, template)


def _transpose(array: np.ndarray, path: Path) -> np.ndarray:
    """From (out, in, *window), or (in, out, *window) where transposed, to (*window, in, out)."""
    if path[-1] != "kernel":
        return array
    num_window = array.ndim - 2
    window = tuple(range(2, array.ndim))
    if num_window and any("upsample" in module for module in path):
        return np.flip(array, window).transpose(*window, 0, 1)
    return array.transpose(*window, 1, 0)


def num_parameters(probe: Probe) -> int:
    """Of the peer's network."""
    return sum(array.size for name, array in probe.items() if name.startswith(WEIGHT))


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Norm of the difference over the norm of the peer's."""
    wide = np.asarray(theirs, np.float64)
    return float(np.linalg.norm(np.asarray(ours, np.float64) - wide) / np.linalg.norm(wide))


def worst_leaf(ours: Mapping, theirs: Mapping) -> float:
    """Largest relative error over the leaves, those with hardly any gradient against a part of the whole."""
    pairs = [
        (np.asarray(a, np.float64), np.asarray(b, np.float64))
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    ]
    floor = _SMALL * np.sqrt(sum(np.sum(b**2) for _, b in pairs))
    return float(max(np.linalg.norm(a - b) / (np.linalg.norm(b) + floor) for a, b in pairs))


def channels_first(x: np.ndarray) -> np.ndarray:
    """(batch, *spatial, channels) as (batch, channels, *spatial)."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def channels_last(x: np.ndarray) -> np.ndarray:
    """(batch, channels, *spatial) as (batch, *spatial, channels)."""
    return np.moveaxis(x, 1, -1)


def draw_batch(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal images and binary labels of the shape (batch, *spatial, 1), from seed 0."""
    generator = np.random.default_rng(0)
    image = generator.standard_normal(shape, dtype=np.float32)
    return image, (generator.random(shape, dtype=np.float32) < 0.3).astype(np.float32)
