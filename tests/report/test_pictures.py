from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxmed.report import pictures

WINDOW = (-1000.0, 0.0)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_slices_are_shown_in_the_window_under_their_titles():
    images = {name: np.full((4, 5), -500.0) for name in ("a", "b", "c")}
    figure = pictures.draw_slices(images, 2, WINDOW)
    shown = [panel for panel in figure.axes if panel.images]
    assert [panel.get_title() for panel in shown] == ["a", "b", "c"]
    assert shown[0].images[0].get_clim() == WINDOW


def test_rows_are_tiled_to_the_length_of_the_shortest():
    rows = [np.ones((1, 2, 3)) * np.array(values)[:, None, None] for values in ([0, 1, 2, 3], [10, 11])]
    tiled = pictures.tile_rows(rows, 3)
    assert tiled.shape == (4, 6)
    np.testing.assert_array_equal(tiled[::2, ::3], [[0, 1], [10, 11]])
    assert pictures.tile_rows(rows, 1).shape == (4, 3)


def test_bland_altman_draws_bias_and_limits():
    found = SimpleNamespace(
        mean=np.array([1.0, 2.0]), difference=np.array([0.5, -0.5]), bias=0.0, lower=-1.4, upper=1.4
    )
    panel = pictures.draw_bland_altman({"ours": found}, "volume, ml", "difference, ml").axes[0]
    assert [line.get_ydata()[0] for line in panel.lines] == [0.0, -1.4, 1.4]
    assert "bias 0.0" in panel.get_legend().texts[0].get_text()


def test_contours_are_drawn_where_there_is_a_mask():
    mask = np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    images = {"smooth": np.zeros((8, 8)), "sharp": np.zeros((8, 8))}
    figure = pictures.draw_contours(images, {"ours": (mask, np.zeros_like(mask))}, WINDOW)
    assert [len(panel.collections) for panel in figure.axes] == [1, 0]
    assert figure.legends[0].texts[0].get_text() == "ours"


def test_slices_are_those_with_most_of_the_first_mask():
    reference, found = np.zeros((2, 3, 8, 8)), np.ones((2, 3, 8, 8), np.uint8)
    reference[0, 2, 2:5, 2:5] = reference[1, 1, 2:6, 2:6] = 1
    found[..., 0] = 0
    volumes = {"a": np.zeros((3, 8, 8)), "b": np.arange(3.0)[:, None, None] * np.ones((8, 8))}
    figure = pictures.draw_busiest_slices(volumes, {"reference": [*reference], "found": [*found]}, WINDOW)
    assert [panel.get_title() for panel in figure.axes] == ["a, slice 2", "b, slice 1"]
    assert (figure.axes[1].images[0].get_array() == 1).all()
    assert [len(panel.collections) for panel in figure.axes] == [2, 2]


def test_sparse_annotation_is_drawn_below_its_image():
    labels = np.array([[[0, 1], [-1, -1]]], np.int8)
    figure = pictures.draw_sparse(np.zeros((1, 2, 2)), labels, -1, (-1.0, 1.0))
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), [[0, 1], [-1, -1]])
    assert figure.axes[1].get_title() == "1: 2 annotated pixels"
    plt.close(figure)
