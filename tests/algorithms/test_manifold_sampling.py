import jax
import numpy as np
import scipy.special

from jaxmed.algorithms import manifold_sampling
from jaxmed.algorithms.variational import Flow
from jaxmed.models.vae import RiemannianVAE

MODEL = RiemannianVAE((4, 4, 1), num_latents=2, hidden=6)


def test_chains_start_at_real_centroids_of_their_own_model_and_are_decoded():
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(3, 7, 4, 4, 1)).astype(np.float32)
    weight = np.ones((3, 7), np.float32)
    weight[1, 2:] = 0
    init = jax.jit(jax.vmap(lambda key, x: MODEL.init(key, x, train=False)["params"]))
    params = init(jax.random.split(jax.random.key(0), 3), images)
    apply = jax.jit(MODEL.apply, static_argnames="method")
    chains = manifold_sampling.draw_latents(
        MODEL,
        params,
        images,
        weight,
        jax.random.key(1),
        flow=Flow(1.5, 1e-3, 3, 0.01, 0.3),
        num_samples=40,
        num_moves=0,
        num_leapfrog=1,
        step_size=0.1,
    )
    z = np.asarray(chains.z)
    assert z.shape == (3, 40, 2)
    for number in range(3):
        own = jax.tree.map(lambda leaf, n=number: np.asarray(leaf)[n], params)
        mean, _ = apply({"params": own}, images[number], method="encode")
        real = np.asarray(mean)[weight[number] > 0]
        distance = np.abs(z[number][:, None] - real[None]).max(-1)
        assert distance.min(1).max() < 1e-5
        assert len(np.unique(distance.argmin(1))) > 1
    decoded = manifold_sampling.decode(MODEL, params, z)
    assert decoded.shape == (3, 40, 4, 4, 1)
    logits = np.asarray(apply({"params": own}, z[2], method="decode"))
    np.testing.assert_allclose(decoded[2], scipy.special.expit(logits), rtol=1e-5)
