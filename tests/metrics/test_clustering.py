"""Agreement of groupings: against scikit-learn, exact cases, ceilings, invariances."""

import numpy as np
import pytest
from sklearn import metrics

from jaxmed.metrics import clustering

RNG = np.random.default_rng(0)
LABELS = RNG.integers(5, size=400)
CLUSTERS = np.where(RNG.random(400) < 0.7, LABELS * 3 + RNG.integers(3, size=400), RNG.integers(17, size=400))
LABELLED = RNG.integers(2, size=9)
PAIRS = [(CLUSTERS, LABELS), (LABELS, CLUSTERS), (RNG.integers(3, size=9), LABELLED), (LABELS, LABELS)]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (clustering.normalised_mutual_information, metrics.normalized_mutual_info_score),
        (clustering.adjusted_mutual_information, metrics.adjusted_mutual_info_score),
        (clustering.adjusted_rand_index, metrics.adjusted_rand_score),
        (lambda a, b: int(clustering.contingency(a, b).sum()), lambda a, b: len(a)),
    ],
)
def test_equals_scikit_learn(pair, ours, theirs):
    assert ours(*pair) == pytest.approx(theirs(*pair), abs=1e-10)


@pytest.mark.parametrize(
    "measure",
    [
        clustering.normalised_mutual_information,
        clustering.normalised_mutual_information_ceiling,
        clustering.purity,
        clustering.adjusted_rand_index,
        clustering.adjusted_mutual_information,
    ],
)
def test_names_of_groups_do_not_matter_and_equal_groupings_reach_one(measure):
    names = RNG.permutation(100)
    assert measure(names[CLUSTERS], LABELS + 7) == pytest.approx(measure(CLUSTERS, LABELS), abs=1e-12)
    assert measure(names[LABELS], LABELS) == pytest.approx(1, abs=1e-12)
    assert measure(np.zeros(4, int), np.zeros(4, int)) == 1


def test_purity_by_hand_and_under_splits():
    clusters, labels = np.array([0, 0, 0, 1, 1, 2]), np.array([5, 5, 6, 6, 7, 7])
    assert clustering.purity(clusters, labels) == pytest.approx((2 + 1 + 1) / 6)
    assert clustering.purity(np.arange(6), labels) == 1
    split = CLUSTERS * 2 + RNG.integers(2, size=400)
    assert clustering.purity(split, LABELS) >= clustering.purity(CLUSTERS, LABELS)


def test_ceilings_of_the_papers_numbers():
    """8 pure, equal clusters a class: 0.514 for 3 classes, 0.712 for 13."""
    for num_classes, wanted in ((3, 0.514), (13, 0.712)):
        labels = np.repeat(np.arange(num_classes), 80)
        clusters = np.arange(num_classes * 80) // 10
        reached = clustering.normalised_mutual_information(clusters, labels)
        assert reached == pytest.approx(wanted, abs=5e-4)
        assert clustering.normalised_mutual_information_ceiling(clusters, labels) == pytest.approx(reached)
    ceiling = clustering.normalised_mutual_information_ceiling(CLUSTERS, LABELS)
    assert clustering.normalised_mutual_information(CLUSTERS, LABELS) < ceiling < 1


def test_chance_is_what_random_groupings_reach():
    shuffled = RNG.permutation(LABELS)
    chance = clustering.purity_by_chance(CLUSTERS, LABELS)
    assert clustering.purity(CLUSTERS, shuffled) == pytest.approx(chance, abs=0.04)
    assert clustering.purity(CLUSTERS, LABELS) > chance + 0.2
    assert clustering.adjusted_mutual_information(CLUSTERS, shuffled) == pytest.approx(0, abs=0.03)
    many = RNG.integers(4, size=20_000)
    assert clustering.normalised_mutual_information(many, RNG.permutation(many)) < 1e-3


def test_bad_groupings_are_refused():
    with pytest.raises(ValueError, match="wanted"):
        clustering.purity(np.zeros(3, int), np.zeros(4, int))


def test_comparison_holds_every_measure_and_nothing_without_labels():
    clusters, labels = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 1, 1, 1])
    found = clustering.compare_with_labels(clusters, labels)
    assert found["purity"] == pytest.approx(5 / 6)
    assert found["nmi labels"] == clustering.normalised_mutual_information(clusters, labels)
    unknown = clustering.compare_with_labels(clusters, None)
    assert unknown.keys() == found.keys()
    assert np.isnan(list(unknown.values())).all()
