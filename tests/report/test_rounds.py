import matplotlib.pyplot as plt
import numpy as np

from jaxmed.report import rounds


def test_bars_are_stacked_to_the_sum_of_the_classes():
    counts = {"first": np.array([[3, 1], [2, 4]]), "second": np.array([[1, 1], [5, 0]])}
    figure = rounds.draw_class_counts(counts, ("A", "B"), "images")
    tops = [max(bar.get_y() + bar.get_height() for bar in panel.patches) for panel in figure.axes]
    assert tops == [6, 5]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "B"]
    plt.close(figure)


def test_curves_begin_at_round_0():
    figure = rounds.draw_by_round(
        {"accuracy": {"first": np.array([1.0, 2.0]), "second": np.array([3.0, 1.0])}}
    )
    lines = figure.axes[0].get_lines()
    assert [line.get_ydata().tolist() for line in lines] == [[1, 2], [3, 1]]
    assert lines[0].get_xdata().tolist() == [0, 1]
    plt.close(figure)
