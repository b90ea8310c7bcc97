import jax
import numpy as np
import pytest

from jaxmed.train import mesh


@pytest.fixture
def replicate():
    """`replicate(tree, data, space)`: a tree on a mesh, as training leaves it; in NumPy for no device."""

    def put(tree, data=1, space=1):
        if not data:
            return jax.tree.map(np.asarray, tree)
        return jax.device_put(tree, mesh.replicated(mesh.make_mesh(data, space)))

    return put
