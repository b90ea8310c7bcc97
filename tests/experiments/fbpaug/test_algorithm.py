from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.fbpaug import algorithm, config


def test_network_of_the_paper_has_8220577_parameters():
    paper = config.PRESETS["paper"]
    shapes = jax.eval_shape(
        lambda key: algorithm.make_model(paper).init(key, jnp.zeros((1, 64, 64, 1)), train=False),
        jax.random.key(0),
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == 8_220_577


def test_paper_preset_is_the_papers_setup():
    paper = config.PRESETS["paper"]
    assert (paper.batch_size, paper.num_steps, paper.learning_rate) == (32, 100 * 100, 1e-3)
    assert (paper.num_folds, paper.pixel_mm, paper.augment_probability) == (3, 1.0, 0.5)
    assert (paper.phantom.num_cases, paper.phantom.num_pairs) == (96, 189)
    assert paper.initial_probability == 0.5


@pytest.fixture
def slices(tiny_data, tiny):
    case = tiny_data.evaluation.arrays["case-000"]
    return np.resize(case["image"], (8, *case["image"].shape[1:])).astype(np.float32)


change_intensity = jax.jit(algorithm.change_intensity, static_argnums=0)


def unit(images):
    return np.clip((images + 1350) / 1500, 0, 1)


def changed(tiny, slices, method, probability):
    setting = replace(tiny, method=method, augment_probability=probability)
    return np.asarray(change_intensity(setting, slices, jax.random.key(1)))


@pytest.mark.parametrize("method", ["none", "fbpaug", "gamma", "noise", "windowing"])
def test_nothing_changes_at_probability_zero(method, tiny, slices):
    np.testing.assert_allclose(changed(tiny, slices, method, 0.0), unit(slices), atol=1e-6)


@pytest.mark.parametrize("method", ["fbpaug", "gamma", "noise", "windowing"])
def test_slices_change_at_probability_one(method, tiny, slices):
    """Not all: a drawn gamma may be near 1, and a window may hold all that the network sees."""
    gap = np.abs(changed(tiny, slices, method, 1.0) - unit(slices)).max(axis=(1, 2))
    assert (gap > 1e-2).sum() >= len(slices) // 2


def test_noise_has_the_papers_standard_deviation(tiny, slices):
    noise = changed(tiny, slices, "noise", 1.0) - unit(slices)
    assert noise.std() == pytest.approx(0.1, rel=0.05)


def test_gamma_keeps_the_extremes_of_a_slice(tiny, slices):
    result = changed(tiny, slices, "gamma", 1.0)
    np.testing.assert_allclose(result.max(axis=(1, 2)), unit(slices).max(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(result.min(axis=(1, 2)), unit(slices).min(axis=(1, 2)), atol=1e-5)


def test_inputs_are_z_scored_and_masks_turn_with_them(tiny, slices):
    labels = (slices > -300).astype(np.uint8)
    setting = replace(tiny, augment_probability=1.0)
    augment = jax.jit(algorithm.augment, static_argnums=0)
    inputs, targets = map(np.asarray, augment(setting, slices, labels, jax.random.key(0)))
    assert inputs.shape == targets.shape == (*slices.shape, 1)
    np.testing.assert_allclose(inputs.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(inputs.std(axis=(1, 2, 3)), 1, atol=1e-3)
    for slice_inputs, slice_targets in zip(inputs, targets, strict=True):
        assert slice_inputs[slice_targets > 0].min() > slice_inputs[slice_targets == 0].max()
