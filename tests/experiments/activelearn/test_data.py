from dataclasses import replace

import numpy as np
import pytest

from experiments.activelearn import data
from experiments.activelearn.config import PRESETS, Config, choose

TINY = PRESETS["tiny"]
DIGITS = choose(PRESETS["tiny"], "balanced")


def test_start_is_drawn_from_the_pool_and_is_all_that_batches_hold(digits):
    pool = digits.evaluation
    assert digits.name == "scikit-learn digits"
    assert len(pool.images.labels) == 1797
    assert len(pool.start) == pool.num_queries == 180
    assert not set(pool.pool) & set(pool.test)
    batches = digits.batches(0)
    seen = np.concatenate([next(batches)["image"] for _ in range(25)])
    allowed = {image.tobytes() for image in pool.images.images[pool.pool[pool.start]]}
    assert {image.tobytes() for image in seen} <= allowed
    np.testing.assert_array_equal(next(batches)["label"], next(digits.batches(25))["label"])


def test_processes_share_each_batch(cache_dir):
    parts = [
        data.make_data(DIGITS, seed=0, data_dir=None, cache_dir=cache_dir, process_index=i, process_count=2)
        for i in range(2)
    ]
    whole = data.make_data(DIGITS, seed=0, data_dir=None, cache_dir=cache_dir)
    halves = np.concatenate([next(part.batches(3))["label"] for part in parts])
    np.testing.assert_array_equal(halves, next(whole.batches(3))["label"])


def test_phantom_has_the_papers_proportions(cache_dir):
    found = data.make_data(TINY, seed=0, data_dir=None, cache_dir=cache_dir).evaluation.images
    assert np.bincount(found.labels).tolist() == [41, 14, 5]
    assert found.classes == ("NC", "NCP", "CP")


def test_unbalanced_digits_fall_from_zeros_to_nines(cache_dir):
    config = replace(DIGITS, balanced=replace(DIGITS.balanced, dataset="unbalanced-digits"))
    counts = np.bincount(
        data.make_data(config, seed=0, data_dir=None, cache_dir=cache_dir).evaluation.images.labels
    )
    assert counts[0] == 178
    assert counts[9] == round(0.13 * 180)


def test_images_and_config_must_agree(cache_dir):
    wrong = replace(DIGITS, balanced=replace(DIGITS.balanced, num_classes=3))
    with pytest.raises(ValueError, match="10 classes; the study has"):
        data.make_data(wrong, seed=0, data_dir=None, cache_dir=cache_dir)
    with pytest.raises(ValueError, match="image_size is 11"):
        large = replace(DIGITS, balanced=replace(DIGITS.balanced, image_size=11))
        data.make_data(large, seed=0, data_dir=None, cache_dir=cache_dir)
    with pytest.raises(ValueError, match=r"query_fraction is 0\.3"):
        Config(query_fraction=0.3)


def test_studies_bring_their_batch_size_and_steps():
    paper = Config()
    cifar = choose(paper, "balanced")
    assert (cifar.batch_size, cifar.num_steps) == (128, 13_125)
    assert choose(paper, "unbalanced") is paper
