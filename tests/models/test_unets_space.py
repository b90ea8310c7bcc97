"""Volumetric U-Nets on a mesh that splits depth: one device's numbers in float64, no activation collected."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms.supervised import supervised
from jaxmed.bench import collectives
from jaxmed.models.fusion_net import FusionNet
from jaxmed.models.monai_unet import MonaiUNet
from jaxmed.models.unet import UNet
from jaxmed.train import fit
from jaxmed.train import mesh as meshes

TINY = UNet(widths=(2, 3), dtype=np.float64)
MODELS = {
    "pooled, transposed, batch norm": TINY.clone(norm="batch", remat_levels=1),
    "strided, repeated and convolved, instance norm": TINY.clone(
        norm="instance", downsampling="strided_conv", upsampling="nearest_conv", num_convs=(1, 1)
    ),
    "pooled, repeated": TINY.clone(upsampling="nearest", num_convs=(1, 1)),
    "halved first, repeated, batch norm": TINY.clone(halved_first=True, upsampling="nearest", norm="batch"),
    "FusionNet": FusionNet(widths=(2, 3), out_channels=1, dtype=np.float64),
    "FusionNet, recomputed": FusionNet(widths=(2, 3), out_channels=1, dtype=np.float64, remat=True),
    "MONAI": MonaiUNet(widths=(2, 3), strides=(2,), dtype=np.float64),
}


def fill(tree):
    rng = np.random.default_rng(0)

    def draw(leaf):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return np.zeros(leaf.shape, leaf.dtype)
        gain = np.prod(leaf.shape[:-1]) ** -0.5 if leaf.ndim > 1 else 0.1
        return (0.5 * (leaf.ndim < 2) + gain * rng.normal(size=leaf.shape)).astype(np.float64)

    return jax.tree.map(draw, tree)


def run_step(model, space):
    """Loss and gradients of one step, and the activations that were moved whole."""

    def loss(logits, targets):
        return optax.sigmoid_binary_cross_entropy(logits, targets).mean((1, 2, 3, 4))

    optimizer = optax.chain(optax.trace(decay=0.0), optax.scale(-0.1))  # the trace is the gradient
    algorithm = supervised(
        model,
        optimizer,
        prepare=lambda batch, _: (batch["volume"], batch["label"]),
        loss=loss,
        volumes=("volume", "label"),
    )
    rng = np.random.default_rng(1)
    volume = rng.normal(size=(2, 21, 8, 9, 1))
    batch = {"volume": volume, "label": (rng.uniform(size=volume.shape) < 0.3).astype(np.float64)}
    mesh = meshes.make_mesh(1, space)
    state = fill(jax.eval_shape(algorithm.init, jax.random.key(0), batch))
    arguments = (
        jax.device_put(state, meshes.replicated(mesh)),
        meshes.put_batch(batch, mesh, algorithm.volumes),
        jax.device_put(jax.random.key(1), meshes.replicated(mesh)),
    )
    step = fit.compile_step(algorithm, mesh).lower(*arguments).compile()
    # Statistics per example and channel, and the gradients of kernels as the phases' matrices.
    small = [(2,), *((2, width) for width in range(1, 9))]
    small += [(count * out, width) for count in range(1, 9) for out in range(1, 9) for width in range(1, 9)]
    exempt = (arguments[0], [jax.ShapeDtypeStruct(shape, np.float64) for shape in small])
    moved = collectives.moved_activations(collectives.list_collectives(step.as_text()), exempt)
    after, metrics = step(*arguments)
    return jax.device_get((metrics["loss"], after.net.opt_state[0].trace)), moved


REPEATING = {"pooled, repeated", "FusionNet, recomputed"}
"""What the others show too: the halved one pools and repeats, the first one is recomputed."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.exhaustive if name in REPEATING else ()) for name in MODELS]
)
def test_step_equals_that_of_one_device(name):
    with jax.enable_x64(True):
        found, moved = run_step(MODELS[name], 4)
        wanted, _ = run_step(MODELS[name], 1)
    assert moved == []
    for mine, one in zip(*map(jax.tree.leaves, (found, wanted)), strict=True):
        np.testing.assert_allclose(mine, one, rtol=0, atol=1e-12 * np.abs(one).max() + 1e-15)
