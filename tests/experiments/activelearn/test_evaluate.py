import jax
import jax.numpy as jnp
import numpy as np

from experiments.activelearn import evaluate
from experiments.activelearn.algorithm import crop_centre, make_model
from experiments.activelearn.config import PRESETS, choose

DIGITS = choose(PRESETS["tiny"], "balanced")


def test_predictions_are_those_of_the_network_in_evaluation_mode(digits, untrained):
    images, positions = digits.evaluation.images.images, np.array([5, 3, 900])
    probabilities, embeddings = evaluate.predict_images(DIGITS, untrained, images, positions)
    assert embeddings.shape == (3, 4)
    logits = make_model(DIGITS).apply(
        untrained.net.variables, crop_centre(DIGITS, jnp.asarray(images[positions])), train=False
    )
    np.testing.assert_allclose(probabilities, jax.nn.softmax(logits), rtol=1e-5)


def test_accuracies_are_of_the_test_images(digits, untrained):
    pool = digits.evaluation
    found = evaluate.measure(DIGITS, untrained, digits)
    probabilities, _ = evaluate.predict_images(DIGITS, untrained, pool.images.images, pool.test)
    labels = pool.images.labels[pool.test]
    assert found["accuracy"] == np.mean(probabilities.argmax(axis=1) == labels)
    assert found["balanced accuracy"] < 0.5
