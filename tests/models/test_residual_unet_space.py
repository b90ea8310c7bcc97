"""A training step of the volumetric network on meshes that split its volumes: one device's numbers, without
collecting activations, in a share of the memory.

Values are compared in float64, where rounding cannot hide a wrong border: in float32 a ReLU or a maximum
near a tie may fall to the other side, which changes a gradient by one element's share.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms.supervised import supervised
from jaxmed.bench import collectives
from jaxmed.models.residual_unet import ResidualUNet
from jaxmed.train import fit
from jaxmed.train import mesh as meshes

WIDTHS, VOLUMES = (2, 4, 6), meshes.Volumes(("volume", "label"))
OPTIMIZER = optax.chain(optax.trace(decay=0.0), optax.scale(-0.1))  # the trace is the gradient


def make_algorithm(widths=WIDTHS, **options):
    def loss(logits, targets):
        return optax.sigmoid_binary_cross_entropy(logits, targets).mean((1, 2, 3, 4))

    model = ResidualUNet(widths=widths, **options)
    return supervised(
        model,
        OPTIMIZER,
        prepare=lambda batch, _: (batch["volume"], batch["label"]),
        loss=loss,
        volumes=VOLUMES.names,
    )


def make_batch(depth, dtype):
    rng = np.random.default_rng(depth)
    volume = rng.normal(size=(2, depth, 9, 8, 1)).astype(dtype)
    return {"volume": volume, "label": (rng.uniform(size=volume.shape) < 0.3).astype(dtype)}


def fill(tree, dtype):
    """Kernels of unit gain and other numbers around 1 / 2; zeros for what is not floating-point."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return np.zeros(leaf.shape, leaf.dtype)
        values = rng.normal(size=leaf.shape)
        gain = np.prod(leaf.shape[:-1]) ** -0.5
        return (gain * values if leaf.ndim > 1 else 0.5 + 0.1 * values).astype(dtype)

    return jax.tree.map(draw, tree)


def compile_step(depth, data, space, dtype=np.float32, **options):
    """The compiled step of one mesh and its arguments."""
    algorithm, batch = make_algorithm(dtype=dtype, **options), make_batch(depth, dtype)
    mesh = meshes.make_mesh(data, space)
    state = fill(jax.eval_shape(algorithm.init, jax.random.key(0), batch), dtype)
    state, key = jax.device_put((state, jax.random.key(1)), meshes.replicated(mesh))
    batch = meshes.put_batch(batch, mesh, VOLUMES)
    return fit.compile_step(algorithm, mesh).lower(state, batch, key).compile(), (state, batch, key)


def results(outputs):
    """Loss, gradients and running statistics after one step; arrays on the host."""
    state, metrics = outputs
    return jax.device_get((metrics["loss"], state.net.opt_state[0].trace, state.net.batch_stats))


def run_step(*case, **options):
    step, arguments = compile_step(*case, **options)
    return results(step(*arguments))


@functools.cache
def on_one_device(depth, **options):
    """Results in float64, and the bytes of temporaries."""
    with jax.enable_x64(True):
        step, arguments = compile_step(depth, 1, 1, np.float64, **options)
        return results(step(*arguments)), step.memory_analysis().temp_size_in_bytes


def assert_same(found, wanted, rtol):
    """Relative to the largest element of each array."""
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for mine, one in zip(*map(jax.tree.leaves, (found, wanted)), strict=True):
        np.testing.assert_allclose(mine, one, rtol=0, atol=rtol * np.abs(one).max())


@pytest.mark.parametrize(
    ("depth", "data", "space"),
    [
        pytest.param(16, 1, 8, marks=pytest.mark.exhaustive),
        pytest.param(21, 1, 2, marks=pytest.mark.exhaustive),
        (21, 2, 4),
    ],
)
def test_step_equals_that_of_one_device_in_a_share_of_its_memory(depth, data, space):
    with jax.enable_x64(True):
        step, arguments = compile_step(depth, data, space, np.float64)
        found = results(step(*arguments))
    wanted, whole_memory = on_one_device(depth)
    assert_same(found, wanted, rtol=1e-12)

    # Not 1: kernels lie on every device, borders twice, and small levels leave some devices empty.
    assert step.memory_analysis().temp_size_in_bytes < 1.6 * whole_memory / (data * space)

    per_example = jax.ShapeDtypeStruct((2,), np.float64)
    moved = collectives.list_collectives(step.as_text())
    assert "collective-permute" in {one.kind for one in moved}
    assert collectives.moved_activations(moved, (arguments[0], per_example)) == []


@pytest.mark.exhaustive
def test_float32_differs_by_rounding_only():
    # In the norm of all gradients, and of all statistics, together: single elements that are differences
    # of large numbers differ by more, on one device with another order of summation too.
    for found, wanted in zip(run_step(16, 1, 8), run_step(16, 1, 1), strict=True):
        split, whole = (np.concatenate([np.ravel(x) for x in jax.tree.leaves(t)]) for t in (found, wanted))
        assert np.linalg.norm(split - whole) < 1e-5 * np.linalg.norm(whole)


def test_levels_with_fewer_slices_than_the_kernel_are_exact_too():
    # Their few slices are summed over the devices: nothing is left to split.
    widths = WIDTHS[:2]
    with jax.enable_x64(True):
        found = run_step(3, 1, 8, np.float64, widths=widths)
    assert_same(found, on_one_device(3, widths=widths)[0], rtol=1e-12)


@pytest.mark.exhaustive
def test_rematerialisation_changes_nothing():
    # By default: on one device in test_residual_unet.py, over depth with the networks of test_unets_space.py.
    with jax.enable_x64(True):
        assert_same(run_step(21, 1, 4, np.float64, remat=True), on_one_device(21)[0], rtol=1e-12)


@pytest.mark.parametrize("depth", [pytest.param(16, marks=pytest.mark.exhaustive), 21])
def test_logits_equal_those_of_one_device(depth):
    model, batch = ResidualUNet(widths=WIDTHS), make_batch(depth, np.float32)
    mesh = meshes.make_mesh(1, 8)

    @functools.partial(jax.jit, out_shardings=meshes.replicated(mesh))
    def predict(variables, batch):
        return model.apply(variables, meshes.crop_padding(batch)["volume"], train=False)

    shapes = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), batch["volume"])
    variables = fill(shapes, np.float32)
    wanted = jax.jit(lambda x: model.apply(variables, x, train=False))(batch["volume"])
    found = predict(
        jax.device_put(variables, meshes.replicated(mesh)), meshes.put_batch(batch, mesh, VOLUMES)
    )
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
