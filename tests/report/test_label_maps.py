import numpy as np

from jaxmed.report import label_maps


def test_every_row_has_its_slices_and_its_labels():
    image, labels = np.zeros((4, 5)), np.arange(20).reshape(4, 5) % 3
    rows = [
        label_maps.LabelledSlices({"T1": image, "T2": image}, labels, {1: "a", 2: "b"}),
        label_maps.LabelledSlices({"CT": image}, labels, {1: "c"}),
    ]
    figure = label_maps.draw_labelled_slices(rows, (-1.0, 1.0))
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["T1", "T2", "1 a, 2 b", "CT", "", "1 c"]
