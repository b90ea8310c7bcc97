import jax
import numpy as np
import pytest

from jaxmed.metrics import confusion, overlap
from jaxmed.metrics.confusion import Confusion


def masks(share=0.2):
    rng = np.random.default_rng(0)
    target = rng.uniform(size=(8, 9, 10)) < share
    return target ^ (rng.uniform(size=target.shape) < 0.1), target


def test_counts_by_hand():
    found = confusion.count(np.array([1, 1, 0, 0, 0], bool), np.array([1, 0, 1, 0, 0], bool))
    assert found == Confusion(1, 1, 1, 2)


def test_shares_are_the_counts_over_their_number_and_give_the_same_kappa():
    prediction, target = masks()
    counts = confusion.count(prediction, target)
    shares = {name: float(share) for name, share in jax.jit(confusion.shares)(prediction, target).items()}
    np.testing.assert_allclose(Confusion(**shares), np.array(counts) / target.size, rtol=1e-6)
    for measure in (confusion.dice, confusion.cohen_kappa):
        np.testing.assert_allclose(measure(Confusion(**shares)), measure(counts), rtol=1e-6)


def test_dice_is_that_of_the_masks():
    prediction, target = masks()
    assert confusion.dice(confusion.count(prediction, target)) == overlap.dice(prediction, target)


def test_kappa_is_agreement_beyond_chance():
    prediction, target = masks()
    observed = np.mean(prediction == target)
    chance = prediction.mean() * target.mean() + (~prediction).mean() * (~target).mean()
    found = confusion.cohen_kappa(confusion.count(prediction, target))
    np.testing.assert_allclose(found, (observed - chance) / (1 - chance), rtol=1e-12)


def test_kappa_of_independent_raters_is_zero():
    assert confusion.cohen_kappa(Confusion(2, 4, 3, 6)) == 0


@pytest.mark.parametrize(
    ("true_negatives", "kappa"), [(10**5, 0.7490), (10**7, 0.7499900), (10**9, 0.7499999)]
)
def test_kappa_tends_to_dice_for_rare_positives(true_negatives, kappa):
    counts = Confusion(300, 100, 100, true_negatives)
    assert confusion.dice(counts) == 0.75
    np.testing.assert_allclose(confusion.cohen_kappa(counts), kappa, atol=1e-5)


def test_nothing_to_find():
    empty = Confusion(0, 0, 0, 5)
    assert (confusion.dice(empty), confusion.cohen_kappa(empty)) == (1, 1)
    # A model that finds nothing of what there is has no skill.
    assert confusion.cohen_kappa(Confusion(0, 0, 16, 2199)) == 0
