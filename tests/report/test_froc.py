import matplotlib.pyplot as plt
import numpy as np

from jaxmed.metrics.detection import Froc
from jaxmed.report import froc


def test_curves_and_points_are_drawn_where_they_are():
    curve = Froc(np.array([0.5, 0.1]), np.array([0.0, 2.0]), np.array([0.4, 0.9]))
    figure = froc.draw_froc({"ours": curve}, {"paper": (0.14, 0.72)}, max_false_positives=4.0)
    ours, paper = figure.axes[0].get_lines()
    np.testing.assert_array_equal(ours.get_xydata(), [[0, 0.4], [2, 0.9]])
    np.testing.assert_array_equal(paper.get_xydata(), [[0.14, 0.72]])
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["ours", "paper"]
    plt.close(figure)


def test_scores_against_each_other():
    figure = froc.draw_against("kappa", {"dice": ([0.1, 0.5], [0.1, 0.5]), "soft": ([0.1], [0.9])})
    diagonal, dice, soft = figure.axes[0].get_lines()
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(dice.get_xydata(), [[0.1, 0.1], [0.5, 0.5]])
    np.testing.assert_array_equal(soft.get_xydata(), [[0.1, 0.9]])
    plt.close(figure)
