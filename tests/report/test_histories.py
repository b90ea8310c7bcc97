"""Histories: a panel for each quantity, a curve for each run."""

import matplotlib.pyplot as plt
import numpy as np

from jaxmed.report.histories import draw_histories, mean_over_spans


def test_every_curve_is_drawn_where_it_belongs():
    times = np.arange(4)
    runs = {"a": {"loss": (times, times * 2.0), "purity": (times[1:], times[1:] / 4)}}
    runs["b"] = {"loss": (times, times * 3.0), "purity": (times, times / 8)}
    figure = draw_histories(runs)
    loss, purity = figure.axes
    assert [panel.get_title() for panel in figure.axes] == ["loss", "purity"]
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), times * 3.0)
    np.testing.assert_array_equal(purity.lines[0].get_xdata(), [1, 2, 3])
    assert [line.get_label() for line in loss.lines] == ["a", "b"]
    plt.close(figure)


def test_means_over_spans_of_steps():
    """Spans of 1 to 4, 5 to 8 and 9 to 12; the second holds no line."""
    steps = np.array([2, 4, 10, 12])
    ends, means = mean_over_spans(steps, np.array([[1.0, 0.0], [3.0, 1.0], [5.0, 0.0], [6.0, 0.0]]), 3)
    np.testing.assert_allclose(ends, [4, 12])
    np.testing.assert_allclose(means, [[2.0, 0.5], [5.5, 0.0]])
