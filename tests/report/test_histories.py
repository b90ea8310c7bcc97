"""Histories: a panel for each quantity, a curve for each run."""

import matplotlib.pyplot as plt
import numpy as np

from jaxmed.report.histories import draw_histories


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
