"""Leaves of a state by name: what a checkpoint stores, and whether it is what is wanted."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.ops import tree_names
from jaxmed.train.checkpoint_errors import MismatchError, NotFiniteError
from jaxmed.types import Leaf

_NAMES_IN_MESSAGE = 5


def name_leaves(state: Any) -> dict[str, Leaf]:
    """Leaves by dotted name, in the order of the tree.

    Raises:
        MismatchError: if two leaves have the same name, since one would be restored as the other.
    """
    try:
        return tree_names.name_leaves(state, separator=".")
    except ValueError as error:
        raise MismatchError(f"this state cannot be saved: {error}") from error


def describe_leaves(leaves: dict[str, Leaf]) -> dict[str, dict[str, Any]]:
    """Shape and dtype of each leaf, as JSON."""
    return {name: {"shape": list(leaf.shape), "dtype": str(leaf.dtype)} for name, leaf in leaves.items()}


def refuse_not_finite(what: str, leaves: dict[str, Leaf]) -> None:
    """Looks for NaN and infinity, on the devices.

    Raises:
        NotFiniteError: naming `what` and the leaves that hold one.
    """
    names = [name for name, leaf in leaves.items() if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    if not names:
        return
    finite = np.asarray(_are_finite([leaves[name] for name in names]))
    bad = [name for name, is_finite in zip(names, finite, strict=True) if not is_finite]
    if bad:
        raise NotFiniteError(f"{what} is not saved: NaN or infinity in {_list(bad)}")


@jax.jit
def _are_finite(arrays: list) -> jax.Array:
    return jnp.stack([jnp.isfinite(array).all() for array in arrays])


def refuse_mismatch(
    what: str, there: dict[str, dict[str, Any]], here: dict[str, dict[str, Any]], *, cast: bool
) -> None:
    """Compares the leaves of a checkpoint with those that are wanted.

    Args:
        what: name of the checkpoint for the message.
        there: leaves of the checkpoint.
        here: leaves of the wanted state.
        cast: let dtypes differ.

    Raises:
        MismatchError: naming the leaves that are missing, left over or different.
    """
    missing, left_over = sorted(here.keys() - there.keys()), sorted(there.keys() - here.keys())
    if missing or left_over:
        raise MismatchError(f"{what} has other leaves: it lacks {_list(missing)}, and has {_list(left_over)}")
    for field in ("shape",) if cast else ("shape", "dtype"):
        different = [
            f"{name} is {there[name][field]}, wanted {here[name][field]}"
            for name in here
            if there[name][field] != here[name][field]
        ]
        if different:
            raise MismatchError(f"{what} has another {field}: {_list(different)}")


def find_differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Compares two identities field by field.

    Args:
        there: nested JSON of a checkpoint.
        here: nested JSON of this run.

    Returns:
        A phrase for each dotted field that differs, with both values.
    """
    found, wanted = _flatten(there), _flatten(here)
    return [
        f"{name} is {found.get(name, 'absent')} there and {wanted.get(name, 'absent')} here"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]


def _flatten(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, dict) or (prefix and not value):
        return {prefix: json.dumps(value)}
    return {
        name: text
        for key, inner in value.items()
        for name, text in _flatten(inner, f"{prefix}.{key}" if prefix else key).items()
    }


def _list(names: list[str]) -> str:
    rest = len(names) - _NAMES_IN_MESSAGE
    shown = ", ".join(names[:_NAMES_IN_MESSAGE]) or "nothing"
    return f"{shown} and {rest} more" if rest > 0 else shown
