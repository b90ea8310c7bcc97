import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.active import core_set, selection

NUM_EXAMPLES, NUM_QUERIES = 60, 17
LABELLED = jnp.array([3, 50, 21, 40])
GENERATOR = np.random.default_rng(0)
SCORES = jnp.asarray(GENERATOR.uniform(size=NUM_EXAMPLES), jnp.float32)
FEATURES = jnp.asarray(GENERATOR.normal(size=(NUM_EXAMPLES, 3)), jnp.float32)
KEY = jax.random.key(0)

top_n = jax.jit(selection.top_n, static_argnums=2, static_argnames="order")
mixture = jax.jit(selection.mixture, static_argnums=2)

SAMPLERS = {
    "random": functools.partial(selection.random, NUM_EXAMPLES, key=KEY),
    "top_n": functools.partial(selection.top_n, SCORES),
    "published": functools.partial(selection.top_n, SCORES, order="published_code"),
    "mixture": functools.partial(selection.mixture, SCORES, key=KEY),
    "all_random": functools.partial(selection.mixture, SCORES, key=KEY, random_fraction=1.0),
    "k_nearest": functools.partial(selection.k_nearest, SCORES, FEATURES),
    "core_set": functools.partial(core_set.greedy_k_centre, FEATURES, weights=SCORES),
    "one_shot": functools.partial(core_set.one_shot, FEATURES, weights=SCORES),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(
    "num_queries",
    [1, pytest.param(NUM_QUERIES, marks=pytest.mark.exhaustive), NUM_EXAMPLES - len(LABELLED)],
)
def test_samplers_give_as_many_new_examples_as_asked_for(name, num_queries):
    sample = jax.jit(SAMPLERS[name], static_argnames="num_queries")
    chosen = sample(labelled=LABELLED, num_queries=num_queries)
    assert chosen.shape == (num_queries,)
    assert len(set(chosen.tolist()) - set(LABELLED.tolist())) == num_queries
    with pytest.raises(ValueError, match="wanted 1 to 56"):
        SAMPLERS[name](labelled=LABELLED, num_queries=57)


def test_top_n_takes_the_most_uncertain_and_the_published_order_the_surest():
    unlabelled = np.setdiff1d(np.arange(NUM_EXAMPLES), LABELLED)
    by_score = unlabelled[np.argsort(np.asarray(SCORES)[unlabelled])]
    found = top_n(SCORES, LABELLED, NUM_QUERIES)
    np.testing.assert_array_equal(found, by_score[::-1][:NUM_QUERIES])
    found = top_n(SCORES, LABELLED, NUM_QUERIES, order="published_code")
    np.testing.assert_array_equal(found, by_score[:NUM_QUERIES])


def test_random_is_uniform_and_depends_on_the_key():
    draw = jax.jit(jax.vmap(lambda key: selection.random(NUM_EXAMPLES, LABELLED, 14, key)))
    counts = np.bincount(draw(jax.random.split(KEY, 4000)).ravel(), minlength=NUM_EXAMPLES)
    assert counts[LABELLED].sum() == 0
    rest = np.delete(counts, LABELLED)
    # A quarter of 4000 draws each; standard deviation sqrt(4000 * 3 / 16) = 27.
    assert np.abs(rest - 1000).max() < 4 * 27.4


def test_mixture_is_four_fifths_top_n():
    found = mixture(SCORES, LABELLED, 20, KEY)
    np.testing.assert_array_equal(found[:16], top_n(SCORES, LABELLED, 16))
    other = mixture(SCORES, LABELLED, 20, jax.random.key(1))
    np.testing.assert_array_equal(found[:16], other[:16])
    assert not np.array_equal(found[16:], other[16:])


def test_neighbours_of_the_most_uncertain_labelled_example_come_first():
    found = selection.k_nearest(SCORES, FEATURES, LABELLED, 10, num_neighbours=5)
    seeds = LABELLED[jnp.argsort(-SCORES[LABELLED])][:2]
    taken = set(LABELLED.tolist())
    expected = []
    for seed in seeds.tolist():
        distances = np.linalg.norm(np.asarray(FEATURES) - np.asarray(FEATURES)[seed], axis=1)
        order = [i for i in np.argsort(distances).tolist() if i not in taken][:5]
        taken |= set(order)
        expected += order
    assert found.tolist() == expected
    with pytest.raises(ValueError, match="labelled is empty"):
        selection.k_nearest(SCORES, FEATURES, LABELLED[:0], 10)
