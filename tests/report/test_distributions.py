import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse

from jaxmed.report import distributions


def test_projection_averages_networks_in_the_plane_of_the_real_images():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(2, 30, 4)) * [5.0, 3.0, 0.1, 0.1]
    other = real + 1
    made = rng.normal(size=(2, 10, 4))
    found = distributions.project_to_plane({"one": (real, made), "two": (other, made)})
    assert {name: points.shape for name, points in found.items()} == {
        "real": (30, 2),
        "one": (10, 2),
        "two": (10, 2),
    }
    reference = (real + 0.5).mean(axis=0)
    expected = (reference - reference.mean(axis=0))[:, 0]
    np.testing.assert_allclose(np.abs(np.corrcoef(found["real"][:, 0], expected)[0, 1]), 1, atol=1e-2)
    np.testing.assert_allclose(found["real"].mean(axis=0), 0, atol=1e-10)


def test_ellipses_have_one_standard_deviation():
    rng = np.random.default_rng(0)
    points = {"real": rng.normal(size=(200, 2)) * [4, 1], "gan": rng.normal(size=(50, 2)) + 3}
    figure = distributions.draw_ellipses({"a class": points})
    ellipses = [patch for patch in figure.axes[0].patches if isinstance(patch, Ellipse)]
    np.testing.assert_allclose(ellipses[0].width, 2 * 4, rtol=0.15)
    np.testing.assert_allclose(ellipses[0].height, 2 * 1, rtol=0.15)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["real", "gan"]
    plt.close(figure)


def test_boxes_stand_in_groups():
    quantiles = np.linspace(0, 1, 101)
    groups = {"one": {"S_S": quantiles, "S_R": quantiles / 2}, "two": {"S_S": quantiles, "S_R": quantiles}}
    figure = distributions.draw_boxes({"a": groups, "b": groups}, "similarity")
    assert len(figure.axes) == 2
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["one", "two"]
    plt.close(figure)
