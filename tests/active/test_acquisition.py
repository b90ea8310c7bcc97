import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.active import acquisition, core_set, scores, selection

GENERATOR = np.random.default_rng(0)
PROBABILITIES = jax.nn.softmax(jnp.asarray(GENERATOR.normal(size=(40, 3)), jnp.float32))
EMBEDDINGS = jnp.asarray(GENERATOR.normal(size=(40, 4)), jnp.float32)
LABELLED = jnp.array([0, 7, 9])
KEY = jax.random.key(0)

EXPECTED = {
    "random": lambda values: selection.random(40, LABELLED, 6, KEY),
    "top_n": lambda values: selection.top_n(values, LABELLED, 6),
    "mixture": lambda values: selection.mixture(values, LABELLED, 6, KEY),
    "k_nearest": lambda values: selection.k_nearest(values, EMBEDDINGS, LABELLED, 6),
    "core_set": lambda values: core_set.greedy_k_centre(EMBEDDINGS, LABELLED, 6, values),
    "published_top_n": lambda values: selection.top_n(values, LABELLED, 6, order="published_code"),
    "published_mixture": lambda values: selection.mixture(values, LABELLED, 6, KEY, order="published_code"),
    "one_shot": lambda values: core_set.one_shot(EMBEDDINGS, LABELLED, 6, values),
}


@pytest.mark.parametrize("sampling", typing.get_args(acquisition.Sampling))
def test_names_stand_for_their_samplers(sampling):
    options = {"sampling": sampling, "scoring": "margin", "num_queries": 6}
    found = acquisition.select(PROBABILITIES, EMBEDDINGS, LABELLED, KEY, **options)
    expected = jax.jit(lambda probabilities: EXPECTED[sampling](scores.margin(probabilities)))
    np.testing.assert_array_equal(found, expected(PROBABILITIES))


def test_names_stand_for_their_scores():
    confidence, change = scores.least_confidence, scores.expected_model_change
    found = acquisition.score("confidence", PROBABILITIES, EMBEDDINGS)
    np.testing.assert_array_equal(found, confidence(PROBABILITIES))
    found = acquisition.score("emc", PROBABILITIES, EMBEDDINGS)
    np.testing.assert_array_equal(found, change(PROBABILITIES, EMBEDDINGS))
