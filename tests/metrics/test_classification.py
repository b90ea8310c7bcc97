import numpy as np
from sklearn import metrics

from jaxmed.metrics import classification


def test_recalls_and_balanced_accuracy_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(0, 4, (2, 200))
    found = classification.recalls(predicted, labels, 4)
    np.testing.assert_allclose(found, metrics.recall_score(labels, predicted, average=None))
    expected = metrics.balanced_accuracy_score(labels, predicted)
    np.testing.assert_allclose(classification.balanced_accuracy(predicted, labels, 4), expected)


def test_class_without_examples_has_no_recall():
    found = classification.recalls(np.array([0, 1, 2]), np.array([0, 0, 2]), 3)
    np.testing.assert_array_equal(found, [0.5, np.nan, 1])
    assert classification.balanced_accuracy(np.array([0, 1, 2]), np.array([0, 0, 2]), 3) == 0.75
