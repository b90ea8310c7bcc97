import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.augment import copies

augment_copies = jax.jit(copies.augment_copies, static_argnums=2, static_argnames="noise")


def test_copies_are_all_different_and_in_range():
    images = jnp.asarray(np.random.default_rng(0).uniform(size=(3, 8, 8, 1)), jnp.float32)
    found = np.asarray(augment_copies(jax.random.key(0), images, 4))
    assert found.shape == (12, 8, 8, 1)
    assert found.min() >= 0 and found.max() <= 1
    assert len({one.tobytes() for one in found}) == 12


def test_noise_has_the_size_asked_for_and_half_of_the_copies_are_flipped():
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 16, dtype=np.float32)[None, None, :, None], (200, 16, 16, 1))
    clean = np.asarray(augment_copies(jax.random.key(1), ramp, 1, noise=0.0))
    noisy = np.asarray(augment_copies(jax.random.key(1), ramp, 1, noise=0.1))
    middle = (slice(None), slice(5, 11), slice(5, 11))
    np.testing.assert_allclose((noisy - clean)[middle].std(), 0.1, rtol=0.03)
    rising = (clean[:, 8, 10, 0] > clean[:, 8, 5, 0]).mean()
    assert 0.35 < rising < 0.65
