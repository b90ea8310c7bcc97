import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms.supervised import supervised
from jaxmed.models.monai_unet import MonaiUNet
from jaxmed.train import fit
from jaxmed.train import mesh as meshes


def shapes_of(model, shape):
    return jax.eval_shape(
        lambda key, x: model.init_with_output(key, x, train=False), jax.random.key(0), jnp.zeros(shape)
    )


def count(variables):
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


DEEP = MonaiUNet(widths=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), out_channels=3)


@pytest.mark.parametrize(
    ("model", "shape", "wanted"),
    [
        # As counted by MONAI 1.6.1 for the same channels, strides and units.
        (MonaiUNet(num_res_units=0), (1, 16, 16, 1), 162_007),
        (MonaiUNet(), (1, 16, 16, 1), 401_288),
        (DEEP, (1, 16, 16, 4), 1_626_360),
        (MonaiUNet(num_res_units=0), (1, 16, 16, 16, 1), 485_431),
        (MonaiUNet(), (1, 16, 16, 16, 1), 1_185_818),
        (DEEP, (1, 16, 16, 16, 4), 4_810_074),
    ],
)
def test_parameters_are_as_many_as_in_monai(model, shape, wanted):
    logits, variables = shapes_of(model, shape)
    assert count(variables) == wanted
    assert logits.shape == (*shape[:-1], model.out_channels)
    assert all(not leaf.weak_type for leaf in jax.tree.leaves(variables))


@pytest.mark.parametrize("shape", [(1, 13, 6, 1), (2, 5, 8, 9, 2)])
def test_any_size_works_and_logits_are_float32(shape):
    logits, _ = shapes_of(MonaiUNet(widths=(2, 3, 4), strides=(2, 2), dtype=jnp.bfloat16), shape)
    assert logits.shape == (*shape[:-1], 1) and logits.dtype == jnp.float32


def test_rematerialisation_wraps_both_sides_of_the_finest_levels():
    model, x = MonaiUNet(widths=(2, 3, 4), strides=(2, 2), remat_levels=2), jnp.zeros((1, 8, 8, 1))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes_of(model, x.shape)[1])
    names = [e.primitive.name for e in jax.make_jaxpr(lambda x: model.apply(variables, x))(x).eqns]
    assert sum(name in ("remat2", "checkpoint") for name in names) == 4


def test_refuses_levels_without_strides():
    with pytest.raises(ValueError, match="widths"):
        shapes_of(MonaiUNet(strides=(2, 2)), (1, 8, 8, 1))


def test_training_compiles_once():
    def loss(logits, targets):
        return ((logits - targets) ** 2).mean((1, 2, 3))

    algorithm = supervised(
        MonaiUNet(widths=(2, 3), strides=(2,)),
        optax.adam(1e-3),
        prepare=lambda batch, _: (batch["image"], batch["label"]),
        loss=loss,
    )
    batch = {name: np.ones((2, 8, 8, 1), np.float32) for name in ("image", "label")}
    mesh = meshes.make_mesh(1, 1)
    step = fit.compile_step(algorithm, mesh)
    key = meshes.replicate(jax.random.key(0), mesh)
    state = meshes.replicate(jax.jit(algorithm.init)(jax.random.key(1), batch), mesh)
    placed = meshes.put_batch(batch, mesh)
    for _ in range(3):
        state, metrics = step(state, placed, key)
    assert step._cache_size() == 1
    assert np.isfinite(metrics["loss"])
