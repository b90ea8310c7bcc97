import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models import feature_network
from jaxmed.ops import tree_names

NETWORK = feature_network.FeatureNetwork(num_classes=3, widths=(4, 6))


@pytest.fixture(scope="module")
def random():
    return feature_network.random_features(NETWORK, (9, 8, 1), seed=3)


def images(shape=(5, 9, 8, 1)):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def test_the_seed_is_all_that_random_features_depend_on(random):
    again = feature_network.random_features(NETWORK, (9, 8, 1), seed=3)
    features = np.asarray(random.apply(random.variables, images()))
    assert features.shape == (5, 6)
    np.testing.assert_array_equal(features, again.apply(again.variables, images()))
    assert random.name == "random network 3"
    assert random.classify is None


def test_volumes_have_features_too():
    shape = jax.eval_shape(
        lambda: NETWORK.init_with_output(jax.random.key(0), jnp.zeros((2, 8, 9, 7, 1)), method="features")[0]
    )
    assert shape.shape == (2, 6)


def test_trained_network_classifies_and_says_on_what(random):
    trained = feature_network.trained_features(NETWORK, random.variables, "phantom lesion classes")
    probabilities = trained.classify(trained.variables, images())
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert trained.name == "network trained on phantom lesion classes"


def test_user_weights_are_taken_by_name_and_checked(random):
    arrays = {k: np.asarray(v) for k, v in tree_names.name_leaves(random.variables, separator="/").items()}
    loaded = feature_network.user_features(NETWORK, (9, 8, 1), arrays, "my weights")
    assert loaded.name == "my weights"
    np.testing.assert_array_equal(
        loaded.apply(loaded.variables, images()), random.apply(random.variables, images())
    )
    name = "params/conv_0/kernel"
    with pytest.raises(ValueError, match=f"my weights: {name} has shape None"):
        feature_network.user_features(
            NETWORK, (9, 8, 1), {k: v for k, v in arrays.items() if k != name}, "my weights"
        )
    with pytest.raises(ValueError, match="extra is no parameter"):
        feature_network.user_features(NETWORK, (9, 8, 1), arrays | {"extra": np.zeros(1)}, "my weights")
