"""Names of the leaves of trees."""

import jax

from jaxmed.types import Leaf, PyTree


def name_leaves(tree: PyTree, *, separator: str) -> dict[str, Leaf]:
    """Gives every leaf its path as a name, such as "params/conv_in/kernel", in the order of the tree.

    Args:
        tree: of dicts, sequences and dataclasses.
        separator: between the keys of a path.

    Raises:
        ValueError: if two leaves get one name, because a key has the separator in it.
    """
    leaves: dict[str, Leaf] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=separator)
        if name in leaves:
            raise ValueError(f"two leaves are called {name}; wanted keys without '{separator}'")
        leaves[name] = leaf
    return leaves
