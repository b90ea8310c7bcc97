"""Phantoms of every set are as the set is described; channels are standardised where there is something."""

import numpy as np
import pytest

from data_pipelines import imaging_sets
from data_pipelines.imaging_sets import SETS, standardise


def test_standardised_channels_have_mean_zero_and_deviation_one_where_there_is_something():
    image = np.random.default_rng(0).uniform(1, 5, (3, 4, 5, 2))
    image[0] = 0
    found = standardise(image)
    np.testing.assert_allclose(found[1:].mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found[1:].std((0, 1, 2)), 1, rtol=1e-5)
    assert not found[0].any()
    assert not standardise(np.full((2, 2, 2, 1), 3.0)).any()


@pytest.mark.parametrize("name", SETS)
def test_phantoms_have_the_sequences_and_classes_of_their_set(name):
    one = SETS[name]
    image, label = imaging_sets.draw_case(name, 0, (12, 24, 24))
    assert image.shape == (*label.shape, len(one.sequences))
    assert label.shape == (round(12 * one.depth_share), 24, 24)
    assert set(np.unique(label)) == set(range(1 + len(one.classes)))


def test_prepared_phantoms_depend_on_their_number_and_shape_alone():
    source = imaging_sets.phantom_source("mnms", 2, (8, 16, 16))
    assert source.names == ("mnms-000", "mnms-001")
    one, other = (source.build(name) for name in source.names)
    np.testing.assert_array_equal(one["image"], source.build("mnms-000")["image"])
    assert (one["image"] != other["image"]).any()
    assert source.key != imaging_sets.phantom_source("mnms", 2, (8, 16, 18)).key


def test_opened_sets_hold_what_their_sources_build(tmp_path):
    source = imaging_sets.phantom_source("hvsmr", 1, (6, 16, 16))
    opened = imaging_sets.open_sources(tmp_path, {"hvsmr": source}, {"hvsmr": ()}, 0)["hvsmr"]
    built = source.build("hvsmr-000")
    assert set(opened["hvsmr-000"]) == set(built)
    np.testing.assert_array_equal(opened["hvsmr-000"]["image"], built["image"])
