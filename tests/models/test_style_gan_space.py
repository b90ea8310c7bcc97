"""A step of a game of volumes on a mesh that splits depth: one device's numbers, no activation collected."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmed.algorithms.gan import Player, gan
from jaxmed.algorithms.style_gan import Settings, style_game
from jaxmed.bench import collectives
from jaxmed.models.style_gan import StyleDiscriminator, StyleGenerator
from jaxmed.train import fit
from jaxmed.train import mesh as meshes

BASE, WIDTH, LATENT, BATCH, TAPS = (5, 2, 3), 3, 5, 2, (1.0, 1.0)


def fill(tree):
    rng = np.random.default_rng(0)
    dtypes = {True: np.float64, False: None}

    def draw(leaf):
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        dtype = dtypes[floating] or leaf.dtype
        return rng.normal(size=leaf.shape).astype(dtype) if floating else np.zeros(leaf.shape, dtype)

    return jax.tree.map(draw, tree)


def run_step(space):
    """Losses and gradients of one step with a path-length update, and the activations moved whole."""
    generator = StyleGenerator(BASE, 1, WIDTH, LATENT, num_mapping=1, taps=TAPS, dtype=np.float64)
    discriminator = StyleDiscriminator(1, WIDTH, TAPS, dtype=np.float64)
    optimizer = optax.chain(optax.trace(decay=0.5), optax.scale(-0.1))  # the trace holds the gradients
    game = style_game(generator, Settings(path_batch_shrink=1), lambda batch: batch["volume"])
    players = Player(generator, optimizer), Player(discriminator, optimizer)
    algorithm = gan(*players, game, volumes=("volume",))
    volume = np.random.default_rng(1).normal(size=(BATCH, *(2 * size for size in BASE), 1))
    mesh = meshes.make_mesh(1, space)
    state = fill(jax.eval_shape(algorithm.init, jax.random.key(0), {"volume": volume}))
    arguments = (
        jax.device_put(state, meshes.replicated(mesh)),
        meshes.put_batch({"volume": volume}, mesh, algorithm.volumes),
        jax.device_put(jax.random.key(1), meshes.replicated(mesh)),
    )
    step = fit.compile_step(algorithm, mesh).lower(*arguments).compile()
    # Numbers per example and channel, products over the coarsest maps, kernels as matrices of the phases.
    small = [(BATCH,), *((BATCH, size) for size in range(1, 9)), *((BATCH, 2, size) for size in range(1, 9))]
    small += [(count * out, width) for count in range(1, 9) for out in (1, 3, 4) for width in (1, 3, 4)]
    # Gradients of what has a value for each place of the base, whose depth of 5 is filled up to 6.
    small += [(6, *BASE[1:], WIDTH), (6, *BASE[1:], WIDTH, WIDTH)]
    exempt = (arguments[0], [jax.ShapeDtypeStruct(shape, np.float64) for shape in small])
    found = collectives.moved_activations(collectives.list_collectives(step.as_text()), exempt)
    moved = [(one.kind, one.shapes, one.origin) for one in found]
    after, metrics = step(*arguments)
    traces = (after.generator.opt_state[0].trace, after.discriminator.opt_state[0].trace, after.memory)
    return jax.device_get((metrics, traces)), moved


def test_step_equals_that_of_one_device():
    with jax.enable_x64(True):
        found, moved = run_step(2)
        wanted, _ = run_step(1)
    assert moved == []
    for mine, one in zip(*map(jax.tree.leaves, (found, wanted)), strict=True):
        # Logits are judged in float32, whatever the networks' type.
        np.testing.assert_allclose(mine, one, rtol=0, atol=1e-7 * np.abs(one).max() + 1e-15)
