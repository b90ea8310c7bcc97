import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.activelearn import algorithm, config
from experiments.activelearn.config import PRESETS, choose
from experiments.activelearn.data import example_batch

TINY = PRESETS["tiny"]
DIGITS = choose(PRESETS["tiny"], "balanced")


@pytest.mark.parametrize(
    ("study", "count"),
    # ResNet-18 for ten classes; MobileNetV2 with one grey channel, 320 linear units and three classes:
    # 2,637,002 - 2 * 288 - 7 * 321.
    [("balanced", 11_173_962), ("unbalanced", 2_634_179)],
)
def test_networks_of_the_paper_have_the_known_numbers_of_parameters(study, count):
    chosen = config.choose(config.PRESETS["paper"], study)
    init = algorithm.make_algorithm(chosen, None).init
    state = jax.eval_shape(init, jax.random.key(0), example_batch(chosen))
    assert sum(leaf.size for leaf in jax.tree.leaves(state.net.params)) == count


def test_methods_share_their_training(make_algorithm):
    assert make_algorithm(sampling="core_set", scoring="emc") is make_algorithm()
    assert make_algorithm(momentum=0.5) is not make_algorithm()


def test_images_are_cropped_flipped_and_scaled():
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1)), jnp.uint8)
    first, other = (algorithm.augment(TINY, images, jax.random.key(k)) for k in (0, 1))
    assert first.shape == images.shape
    assert first.dtype == jnp.float32
    assert -1 <= float(first.min()) < float(first.max()) <= 1
    assert not np.array_equal(first, other)
    centre = algorithm.crop_centre(TINY, images)
    np.testing.assert_allclose(centre, np.asarray(images, np.float32) / 127.5 - 1, rtol=1e-6, atol=1e-6)


def test_digits_are_not_flipped():
    images = jnp.zeros((64, 8, 8, 1), jnp.uint8).at[:, :, 1].set(255)
    columns = algorithm.augment(DIGITS, images, jax.random.key(0)).argmax(axis=2)
    assert set(np.unique(columns)) == {0, 1, 2}
