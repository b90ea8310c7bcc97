"""Networks that are to tell two sets apart: sets that are the same, and a ladder of ever worse ones."""

import jax
import numpy as np
import optax
import pytest
import scipy.ndimage
import scipy.special

from jaxmed.algorithms import two_sample
from jaxmed.models.plain_vgg import PlainVGG
from jaxmed.train import fit, mesh

COUNT, RUNS, SIZE = 60, 3, 12
MODEL = PlainVGG(4, num_blocks=2, num_features=8)


def draw(seed):
    """Smooth random images."""
    noise = np.random.default_rng(seed).standard_normal((2 * COUNT, SIZE, SIZE))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 1, 1)) * 3
    return np.rint(255 * np.clip(0.5 + smooth / 4, 0, 1)).astype(np.uint8)[..., None]


def worsen(images, share):
    """Blurs and darkens, not at all or up to a share of 1."""
    blurred = scipy.ndimage.gaussian_filter(images.astype(float), (0, 2, 2, 0))
    return ((1 - share) * images + share * 0.8 * blurred).astype(np.uint8)


@pytest.fixture(scope="module")
def judged():
    """By how much the synthetic set was made worse: what networks trained on half of it say of the rest."""
    algorithm = two_sample.two_sample_test(MODEL, optax.adam(3e-3), RUNS)
    init, real, found = jax.jit(algorithm.init), draw(0), {}
    for share in (0.0, 0.1, 0.6):
        synthetic = worsen(draw(1), share)
        images, labels = np.concatenate([real[:COUNT], synthetic[:COUNT]]), np.repeat([0, 1], COUNT)

        def batches(images=images, labels=labels):
            rng = np.random.default_rng(2)
            while True:
                chosen = rng.integers(2 * COUNT, size=(24, RUNS))
                yield {"image": images[chosen], "label": labels[chosen].astype(np.int32)}

        state = init(jax.random.key(0), next(batches()))
        state = fit.fit(
            algorithm, state, batches(), key=jax.random.key(1), num_steps=60, mesh=mesh.make_mesh(1)
        )
        variables = state.members.net.variables
        found[share] = variables, two_sample.judge(MODEL, variables, real[COUNT:], synthetic[COUNT:])
    return found


def test_sets_that_are_drawn_alike_cannot_be_told_apart(judged):
    scores = judged[0.0][1]
    assert scores["recall"].shape == (RUNS,)
    assert 0.8 < (scores["recall"] + scores["specificity"]).mean() < 1.2


def test_the_worse_a_set_the_larger_every_score(judged):
    """The Mahalanobis distance has no scale and grows late: from the honest set to the worst one."""
    for name in ("recall", "Frechet distance"):
        by_share = [judged[share][1][name].mean() for share in (0.0, 0.1, 0.6)]
        assert by_share[0] < by_share[1] < by_share[2], (name, by_share)
    distances = [judged[share][1]["Mahalanobis distance"].mean() for share in (0.0, 0.6)]
    assert distances[0] < distances[1], distances
    assert (judged[0.6][1]["recall"] + judged[0.6][1]["specificity"]).mean() > 1.8


def test_features_and_probabilities_are_those_of_each_network(judged):
    variables, _ = judged[0.6]
    images = draw(3)[:5]
    features = two_sample.compute_features(MODEL, variables, images)
    probabilities = two_sample.compute_probabilities(MODEL, variables, images)
    assert features.shape == (RUNS, 5, 8)
    own = jax.tree.map(lambda leaf: np.asarray(leaf)[1], variables)
    inputs = two_sample.as_input(images)
    apply = jax.jit(MODEL.apply, static_argnames=("train", "method"))
    np.testing.assert_allclose(features[1], apply(own, inputs, method="features"), rtol=1e-4, atol=1e-6)
    logits = np.asarray(apply(own, inputs, train=False))
    np.testing.assert_allclose(probabilities[1], scipy.special.expit(logits), rtol=1e-4)
