import matplotlib.pyplot as plt
import numpy as np

from jaxmed.report import heat_maps


def test_cells_show_their_numbers_and_groups_share_colours():
    panels = {
        "a": np.array([[0.0, 0.5], [np.nan, 250.4]]),
        "b": np.ones((2, 2)),
        "c": np.full((2, 2), np.nan),
    }
    figure = heat_maps.draw_heat_maps(
        panels, [4, 8], [0, 128], num_columns=2, axes=("n_a", "n_t"), shared=[("a", "b")]
    )
    first, second, third, spare = figure.axes
    assert [text.get_text() for text in first.texts] == ["0.000", "0.500", "250"]
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0.0, 250.4)
    assert not third.texts
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["4", "8"]
    assert not spare.axison
    plt.close(figure)
