import matplotlib.pyplot as plt
import numpy as np

from jaxmed.report import heat_maps

CELLS = [(4, 0), (4, 128), (8, 0), (8, 128)]


def test_cells_show_their_numbers_and_groups_share_colours():
    panels = {
        "a": {(4, 0): 0.0, (4, 128): 0.5, (8, 128): 250.4, (8, 0): np.nan},
        "b": dict.fromkeys(CELLS, 1.0),
        "c": {(8, 0): np.nan},
    }
    figure = heat_maps.draw_heat_maps(panels, num_columns=2, axes=("n_a", "n_t"), shared=[("a", "b")])
    first, second, third, spare = figure.axes
    assert [text.get_text() for text in first.texts] == ["0.000", "0.500", "250"]
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0.0, 250.4)
    assert not third.texts
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["4", "8"]
    assert not spare.axison
    plt.close(figure)
