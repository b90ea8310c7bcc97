"""Slices and their classes of volumes whose voxels say where they lie, and a network that learns them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms.slice_classes import SliceClasses, score_slices, slice_classifier
from jaxmed.models.feature_network import FeatureNetwork

SHAPE = (20, 24, 28)
COUNT = 256
CLASSES = SliceClasses(num_places=5, num_labels=2, mirrored=(0,))


def coordinates(count):
    """Volumes whose channels are the voxels' own indices, from 1."""
    one = np.stack(np.indices(SHAPE), axis=-1) + 1
    return np.broadcast_to(one, (count, *one.shape)).astype(np.uint8)


def band(axis, index):
    """By the fraction of the axis: five bands of its middle half, or of the distance from its middle."""
    at = (index + 0.5) / SHAPE[axis]
    return int(5 * (abs(at - 0.5) / 0.25 if axis == 0 else (at - 0.25) / 0.5))


@pytest.fixture(scope="module")
def drawn():
    """As (draws, 3, ...): 128 of two volumes each, with their labels."""
    draw = jax.jit(CLASSES.draw, static_argnums=3)
    slices, classes = draw(coordinates(2), np.arange(2), jax.random.key(0), COUNT // 2)
    labels = np.arange(2).repeat(COUNT // 2)
    return np.asarray(slices).reshape(COUNT, 3, 28, 28, 3), np.asarray(classes).reshape(COUNT, 3), labels


def test_slices_lie_across_each_axis_in_its_middle_half_with_zeros_around(drawn):
    slices = drawn[0]
    for axis, size in enumerate(SHAPE):
        own = slices[:, axis]
        rows, columns = (other for number, other in enumerate(SHAPE) if number != axis)
        top, left = (28 - rows) // 2, (28 - columns) // 2
        inside = own[:, top : top + rows, left : left + columns]
        assert np.count_nonzero(own) == np.count_nonzero(inside) == inside.size
        index = inside[..., axis].reshape(COUNT, -1).astype(int) - 1
        assert (index == index[:, :1]).all()
        assert set(index[:, 0]) == set(range(size // 4, size - size // 4))


def test_classes_say_axis_place_and_label(drawn):
    slices, classes, labels = drawn
    for axis in range(3):
        index = slices[:, axis, 14, 14, axis].astype(int) - 1
        wanted = [(5 * axis + band(axis, one)) * 2 + label for one, label in zip(index, labels, strict=True)]
        assert classes[:, axis].tolist() == wanted
    assert set(classes.ravel().tolist()) == set(range(CLASSES.num_classes))


def places_along(size):
    """Of all slices of the middle half of a cube, (slices, 3)."""
    index = jnp.arange(size // 4, size - size // 4)[:, None].repeat(3, axis=1)
    shape = np.array((size, size, size))
    return np.asarray(jax.jit(jax.vmap(lambda one: CLASSES._places(one, shape)))(index))


def test_mirror_images_have_the_same_places_along_the_mirrored_axis():
    places = places_along(20)
    assert places[:, 0].tolist() == [4, 3, 2, 1, 0, 0, 1, 2, 3, 4]
    assert places[:, 1].tolist() == places[:, 2].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_places_of_any_size_are_classes():
    for size in (4, 5, 6, 7, 9, 14, 23, 39):
        places = places_along(size)
        assert places.min() >= 0 and places.max() <= 4


def test_hits_add_up_what_is_probable_of_the_rest():
    """Axis 1, place 0 is the most probable pair, though another class is the most probable one."""
    probabilities = np.full((1, 30), 1e-4)
    probabilities[0, [10, 11, 28]] = 0.3, 0.3, 0.397
    logits = jnp.log(probabilities)
    hits = {target: CLASSES.hits(logits, jnp.array([target])) for target in (10, 11, 28)}
    assert [bool(hit["place"][0]) for hit in hits.values()] == [True, True, False]
    assert [bool(hit["label"][0]) for hit in hits.values()] == [True, False, True]


def test_a_network_learns_planes_places_and_labels():
    """Brightness rises along each axis, in another way for each; one label has a bright rim."""
    ramps = np.stack(np.meshgrid(*(np.linspace(0, 1, size) for size in SHAPE), indexing="ij"))
    image = 0.5 * ramps[0] + 0.3 * np.sin(6 * ramps[1]) + np.square(ramps[2])
    volumes = np.stack([image + 0.7 * (ramps.max(axis=0) > 0.8), image])[..., None].astype(np.float32)
    labels = np.array([0, 1], np.int32)
    network = FeatureNetwork(CLASSES.num_classes, (8, 16))
    algorithm = slice_classifier(network, optax.adam(0.01), CLASSES, lambda slices: slices - 0.5)
    batch = {"volume": volumes.repeat(4, axis=0), "label": labels.repeat(4)}
    state, step = jax.jit(algorithm.init)(jax.random.key(0), batch), jax.jit(algorithm.step)
    losses = []
    for number in range(150):
        state, metrics = step(state, batch, jax.random.key(number))
        losses.append(float(metrics["loss"]))
    assert losses[0] == pytest.approx(np.log(CLASSES.num_classes), rel=0.3)
    assert np.mean(losses[-10:]) < 0.5 * losses[0]
    assert set(metrics) == {"loss", "place", "label"}
    labelled = list(zip(volumes, labels, strict=True))
    scores = score_slices(network, state.net.variables, CLASSES, lambda slices: slices - 0.5, labelled)
    assert scores["place"].shape == scores["label"].shape == (2,)
    assert scores["place"].min() > 0.4
    assert scores["label"].min() > 0.8
